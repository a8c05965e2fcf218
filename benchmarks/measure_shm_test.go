//go:build measure

package benchmarks

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const million = 1_000_000

// TestMeasureBudgets compares the tests over shared memory with the bare medium
// of the same rounds.
func TestMeasureBudgets(t *testing.T) {
	t.Run("latency", func(t *testing.T) {
		f := interleave(t,
			ours("baseline-shm-lat 8 B", Config{Test: "baseline-shm-lat", Iterations: million}),
			ours("write-lat 64 B", Config{Test: "write-lat", Iterations: million}),
			ours("write-imm-lat 64 B", Config{Test: "write-imm-lat", Iterations: million}),
			ours("send-lat 64 B", Config{Test: "send-lat", Iterations: million}))
		t.Logf("write-imm-lat / baseline-shm-lat %.3f", ratio(f[2], f[0]))
		require.LessOrEqual(t, ratio(f[2], f[0]), 1.5)
	})
	t.Run("wake-up", func(t *testing.T) {
		f := interleave(t,
			ours("baseline-block-lat", Config{Test: "baseline-block-lat", Iterations: 10_000}),
			ours("write-imm-lat 64 B, warm", Config{Test: "write-imm-lat", Mode: Warm, Iterations: 10_000}))
		t.Logf("warm write-imm-lat / baseline-block-lat %.3f", ratio(f[1], f[0]))
	})
	t.Run("bandwidth", func(t *testing.T) {
		f := interleave(t,
			ours("baseline-memcpy-bw 1 MiB", Config{Test: "baseline-memcpy-bw", Iterations: 8192}),
			ours("write-bw 1 MiB", Config{Test: "write-bw", Iterations: 8192}))
		t.Logf("write-bw / baseline-memcpy-bw %.3f", ratio(f[1], f[0]))
		require.GreaterOrEqual(t, ratio(f[1], f[0]), 0.9)
	})
}

// TestMeasureUCX compares with ucx_perftest over its shared memory. It
// prints half of a round trip; here it is doubled.
func TestMeasureUCX(t *testing.T) {
	for _, size := range []int{8, 64} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			sizes := []int{size}
			f := interleave(t,
				ours("write-imm-lat", Config{Test: "write-imm-lat", Sizes: sizes, Iterations: million}),
				ours("send-lat", Config{Test: "send-lat", Sizes: sizes, Iterations: million}),
				ours("write-lat", Config{Test: "write-lat", Sizes: sizes, Iterations: million}),
				ucx("UCX tag_lat x 2", size, "-t", "tag_lat"),
				ucx("UCX put_lat x 2", size, "-t", "put_lat", "-x", "posix", "-d", "memory"))
			t.Logf("write-imm-lat / tag_lat %.3f   send-lat / tag_lat %.3f   write-lat / put_lat %.3f", ratio(f[0], f[3]), ratio(f[1], f[3]), ratio(f[2], f[4]))
			require.Less(t, ratio(f[0], f[3]), 1.0)
		})
	}
}

// ucx is a test of ucx_perftest between two processes on the cores that ours
// use.
func ucx(name string, size int, test ...string) contender {
	return contender{name, func(t *testing.T) float64 {
		allowed, err := allowedCPUs()
		require.NoError(t, err)
		measuring, peer, _ := choosePair(readTopology(os.DirFS("/sys"), allowed))
		port := freePort(t)
		common := []string{"-p", port, "-f", "-v"}
		command := func(args ...string) *exec.Cmd {
			c := exec.CommandContext(t.Context(), "ucx_perftest", append(args, common...)...)
			c.Env = append(os.Environ(), "UCX_TLS=posix,self", "UCX_LOG_LEVEL=error", "UCX_WARN_UNUSED_ENV_VARS=n")
			return c
		}
		server := command("-c", strconv.Itoa(peer))
		require.NoError(t, server.Start())
		defer func() {
			server.Process.Kill() // it ends by itself, unless the client failed
			server.Wait()
		}()
		awaitListener(t, port)
		var stderr bytes.Buffer
		client := command(append([]string{"127.0.0.1", "-c", strconv.Itoa(measuring), "-s", strconv.Itoa(size), "-n", strconv.Itoa(million)}, test...)...)
		client.Stderr = &stderr
		out, err := client.Output()
		require.NoError(t, err, "%s%s", out, &stderr)
		return 2 * 1000 * ucxMedian(t, string(out))
	}}
}

// ucxMedian is the 50th percentile, in microseconds, of the CSV that
// ucx_perftest -v prints: iterations, percentile, average, overall, ...
func ucxMedian(t *testing.T, csv string) float64 {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	fields := strings.Split(lines[len(lines)-1], ",")
	require.Greater(t, len(fields), 3, csv)
	us, err := strconv.ParseFloat(fields[1], 64)
	require.NoError(t, err, csv)
	return us
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return port
}

// awaitListener returns when a process listens on a TCP port. It looks at the
// kernel's table: a connection would count as a client.
func awaitListener(t *testing.T, port string) {
	t.Helper()
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	entry := fmt.Sprintf(":%04X 00000000:0000 0A", number)
	entry6 := fmt.Sprintf(":%04X 00000000000000000000000000000000:0000 0A", number)
	require.Eventually(t, func() bool {
		tcp, _ := os.ReadFile("/proc/net/tcp")
		tcp6, _ := os.ReadFile("/proc/net/tcp6")
		return strings.Contains(string(tcp), entry) || strings.Contains(string(tcp6), entry6)
	}, 10*time.Second, 10*time.Millisecond)
}
