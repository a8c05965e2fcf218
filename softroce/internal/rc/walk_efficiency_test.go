package rc_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/softroce/internal/simnet"
)

// stream is a bulk transfer in both directions over a link as fast as a socket,
// with the settings that an engine has.
func stream(w *walk) settings {
	return settings{
		clients: 1, pairs: 1, ipv6: true,
		mtu: 1024, window: 256, depth: 64, inline: 64, maxReads: 16, resources: 16,
		minTimeout: time.Millisecond, ackTimeout: 60 * time.Millisecond,
		retries: 7, rnrRetries: 7, rnrTimer: 12,
		link: simnet.Config{
			Delay: 10 * time.Microsecond, Jitter: 2 * time.Microsecond,
			BytesPerSecond: 1e9, QueueDatagrams: 512,
		},
		requests: 500, maxBytes: 16 << 10, gap: time.Microsecond, burst: 64,
		receives: 64, receiveGap: 10 * time.Microsecond, eager: true,
		signaled: 0.2, mix: [6]int{1, 3, 1, 2, 1, 0},
		react: time.Microsecond, batch: 64, ackDelay: 20 * time.Microsecond,
	}
}

// TestEfficiency: what lost packets cost. packets is how many are sent, in relation
// to the fewest that do without acknowledgements; time is how long it takes (of
// simulated time), in relation to the same without loss. The bounds are what was
// measured, and about a third of what that is beyond the optimum.
func TestEfficiency(t *testing.T) {
	if effort.Race() || testing.Short() {
		t.Skip("moves megabytes: without -race and -short")
	}
	t.Parallel()
	writes := func(s *settings) { s.mix = [6]int{0, 1, 0, 0, 0, 0} }
	reads := func(s *settings) { s.mix = [6]int{0, 0, 0, 1, 0, 0} }
	loss := func(p float64) func(*settings) { return func(s *settings) { s.link.Loss = p } }
	for _, test := range []struct {
		name          string
		change        []func(*settings)
		packets, time float64
	}{
		{"perfect", nil, 1.05, 1},
		{"1 %", []func(*settings){loss(0.01)}, 1.4, 2},
		{"1 %, writes", []func(*settings){loss(0.01), writes}, 1.6, 2.8},
		{"1 %, reads", []func(*settings){loss(0.01), reads}, 1.37, 2.3},
		{"1 %, 4 KiB", []func(*settings){loss(0.01), func(s *settings) { s.mtu, s.maxBytes = 4096, 48<<10 }}, 1.52, 1.6},
		{"1 %, far", []func(*settings){loss(0.01), func(s *settings) { s.link.Delay, s.minTimeout = time.Millisecond, 5*time.Millisecond }}, 1.52, 4.5},
		{"5 %", []func(*settings){loss(0.05)}, 2.1, 6.5},
		{"queue of 32", []func(*settings){func(s *settings) { s.link.QueueDatagrams = 32 }}, 1.32, 1.9},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			measure := func(change ...func(*settings)) (sum outcome) {
				k := kind{name: test.name, draw: func(w *walk) settings {
					s := stream(w)
					for _, c := range change {
						c(&s)
					}
					return s
				}}
				for seed := range uint64(4) {
					o, problem, _ := attempt(&k, seed, 0)
					require.Empty(t, problem)
					sum.add(&o)
				}
				return sum
			}
			perfect := measure(append(test.change, func(s *settings) { s.link.Loss, s.link.QueueDatagrams = 0, 4096 })...)
			c := &perfect.counters
			require.Zero(t, c.Timeouts+c.LostResponses+c.SequenceNAKsSent)
			require.LessOrEqual(t, c.Retransmitted, c.Probes)
			require.Less(t, c.Probes, c.DataSent/1000)

			got := measure(test.change...)
			c = &got.counters
			packets, time := float64(got.packets)/float64(got.minimum), got.simulated/perfect.simulated
			t.Logf("%.3f of the packets, %.2f of the time; requests sent again: %.3f, responses: %.3f, ACKs per packet: %.3f; %d timeouts",
				packets, time, float64(c.Retransmitted)/float64(c.DataSent), float64(c.ResponsesSent)/float64(max(1, c.ResponsesReceived))-1,
				float64(c.AcksSent)/float64(got.minimum), c.Timeouts)
			require.LessOrEqual(t, packets, test.packets)
			require.LessOrEqual(t, time, test.time)
		})
	}
}
