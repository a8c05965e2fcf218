package benchmarks

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// The JSON is a contract with scripts: names, order and units.
func TestResultJSON(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, WriteJSON(&b,
		Result{
			Test: "write-imm-lat", Transport: "shm", Mode: Hot, SizeBytes: 64, Iterations: 1000000,
			RTT:          RoundTrips{Min: 120, P50: 151, Mean: 160.4, P99: 310, P999: 700, P9999: 9000, Max: 48000},
			OpsPerSecond: 6400000.125, BytesPerSecond: 409600008, AllocsPerOp: 0, PeerPID: 4711,
		},
		Result{
			Test: "baseline-memcpy-bw", Transport: "none", Mode: Hot, SizeBytes: 1 << 20, Iterations: 8192,
			OpsPerSecond: 31000, BytesPerSecond: 32505856000, AllocsPerOp: 0.002,
		},
		Result{
			Test: "write-bw", Transport: "softroce", Mode: Hot, SizeBytes: 1 << 20, Iterations: 10,
			OpsPerSecond: 4000, BytesPerSecond: 4194304000, PeerPID: 4712,
			Counters: map[string]uint64{"retransmissions": 0, "packets_sent": 2560, "naks_received": 1},
		}))
	require.Equal(t, `{"test":"write-imm-lat","transport":"shm","mode":"hot","size_bytes":64,"iterations":1000000,"rtt_ns":{"min":120,"p50":151,"mean":160.4,"p99":310,"p999":700,"p9999":9000,"max":48000},"ops_per_s":6400000.125,"bytes_per_s":409600008,"allocs_per_op":0,"peer_pid":4711}
{"test":"baseline-memcpy-bw","transport":"none","mode":"hot","size_bytes":1048576,"iterations":8192,"ops_per_s":31000,"bytes_per_s":32505856000,"allocs_per_op":0.002,"peer_pid":0}
{"test":"write-bw","transport":"softroce","mode":"hot","size_bytes":1048576,"iterations":10,"ops_per_s":4000,"bytes_per_s":4194304000,"allocs_per_op":0,"peer_pid":4712,"counters":{"naks_received":1,"packets_sent":2560,"retransmissions":0}}
`, b.String())
}

func TestTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, WriteTable(&b,
		Result{Test: "send-lat", Transport: "shm", Mode: Warm, SizeBytes: 4096, Iterations: 20,
			RTT: RoundTrips{Min: 990, P50: 49100, Mean: 50123.4, P99: 1_000_000, P999: 2_500_000_000, Max: 2_500_000_000}, OpsPerSecond: 20300, BytesPerSecond: 83.1e6, AllocsPerOp: 1.5},
		Result{Test: "write-bw", Transport: "shm", Mode: Hot, SizeBytes: 1000, Iterations: 5, OpsPerSecond: 4.2e6, BytesPerSecond: 4.2e9, AllocsPerOp: 0.046,
			Counters: map[string]uint64{"packets_sent": 9}},
		Result{Test: "send-bw", Transport: "shm", Mode: Hot, SizeBytes: 1024, Iterations: 5, OpsPerSecond: 4.2e6, BytesPerSecond: 4.2e9,
			Counters: map[string]uint64{"packets_sent": 9, "retransmissions": 3, "naks_received": 1, "rnr_naks_sent": 0}},
		Result{Test: "write-bw", Transport: "softroce", Mode: Hot, SizeBytes: 8, Iterations: 5, OpsPerSecond: 1, BytesPerSecond: 8,
			Counters: map[string]uint64{"retransmitted": 256, "timeouts": 1}}))
	require.Equal(t, `      test  transport  mode    size  iterations     min      p50     mean   p99  p99.9    max      rate  bandwidth  allocs/op
  send-lat        shm  warm   4 KiB          20  990 ns  49.1 us  50.1 us  1 ms  2.5 s  2.5 s  20.3 k/s  83.1 MB/s        1.5
  write-bw        shm   hot  1000 B           5       -        -        -     -      -      -   4.2 M/s   4.2 GB/s          0
   send-bw        shm   hot   1 KiB           5       -        -        -     -      -      -   4.2 M/s   4.2 GB/s          0
  write-bw   softroce   hot     8 B           5       -        -        -     -      -      -      1 /s      8 B/s          0
send-bw on shm, hot, 1 KiB: naks_received 1, retransmissions 3
write-bw on softroce, hot, 8 B: retransmitted 256
  No packet was lost: an end was without its processor for longer than the timeout, and the other one sent again.
`, b.String())
}
