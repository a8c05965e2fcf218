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

// What is in files with the tag "measure" takes time and a quiet machine; see
// check-baselines.

// contender is one of the things that are compared: measure returns a time in
// nanoseconds, or a rate.
type contender struct {
	name    string
	measure func(t *testing.T) float64
}

// interleave measures all contenders in turn, round after round, in an order
// that is reversed each time, and returns their figures by round.
func interleave(t *testing.T, contenders ...contender) [][]float64 {
	t.Helper()
	rounds := 7
	if s := os.Getenv("ROUNDS"); s != "" {
		n, err := strconv.Atoi(s)
		require.NoError(t, err, "ROUNDS")
		rounds = n
	}
	figures := make([][]float64, len(contenders))
	for round := range rounds {
		for i := range contenders {
			if round%2 == 1 {
				i = len(contenders) - 1 - i
			}
			figures[i] = append(figures[i], contenders[i].measure(t))
		}
	}
	for i, c := range contenders {
		t.Logf("%-28s median %12.0f   rounds %s", c.name, median(figures[i]), strings.Trim(fmt.Sprintf("%.0f", figures[i]), "[]"))
	}
	return figures
}

// quotient is the median of a/b over the rounds.
func quotient(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}

// difference is the median of a-b over the rounds.
func difference(a, b []float64) float64 {
	differences := make([]float64, len(a))
	for i := range a {
		differences[i] = a[i] - b[i]
	}
	return median(differences)
}

// ours is a test of this package, by its median round trip or, for bandwidths,
// by its bytes a second.
func ours(name string, c Config) contender {
	return contender{name, func(t *testing.T) float64 {
		return figure(runOne(t, c)[0])
	}}
}

func figure(r Result) float64 {
	if r.RTT.Max == 0 {
		return r.BytesPerSecond
	}
	return float64(r.RTT.P50)
}

// ucx is a test of ucx_perftest between two processes on the cores that ours
// use.
type ucx struct {
	name             string
	over             string // UCX's transport
	size, iterations int
	bandwidth        bool
	args             []string
}

// contender measures a latency test by its median, doubled, as ucx_perftest
// prints half of a round trip, and others by their bytes a second.
func (u ucx) contender() contender { return contender{u.name, u.measure} }

func (u ucx) measure(t *testing.T) float64 {
	command := func(port string, args ...string) *exec.Cmd {
		c := exec.CommandContext(t.Context(), "ucx_perftest", append(args, "-p", port, "-f", "-v")...)
		c.Env = append(os.Environ(), "UCX_TLS="+u.over+",self", "UCX_LOG_LEVEL=error", "UCX_WARN_UNUSED_ENV_VARS=n")
		if u.over == "tcp" {
			c.Env = append(c.Env, "UCX_NET_DEVICES=lo")
		}
		return c
	}
	out := twoEnds(t, func(cpu, port string) *exec.Cmd {
		return command(port, "-c", cpu)
	}, func(cpu, port string) *exec.Cmd {
		return command(port, append([]string{"127.0.0.1", "-c", cpu, "-s", strconv.Itoa(u.size), "-n", strconv.Itoa(u.iterations)}, u.args...)...)
	})
	if u.bandwidth {
		return ucxColumn(t, out, "overall_bw") * (1 << 20)
	}
	return ucxColumn(t, out, "50.0_percentile_lat") * 2 * 1000
}

// ourCores are those that ours use.
func ourCores(t *testing.T) (measuring, peer string) {
	t.Helper()
	allowed, err := allowedCPUs()
	require.NoError(t, err)
	m, p, note := choosePair(readTopology(os.DirFS("/sys"), allowed))
	t.Log(note)
	return strconv.Itoa(m), strconv.Itoa(p)
}

// twoEnds runs the two ends of another benchmark on our cores and returns what the
// client prints.
func twoEnds(t *testing.T, server, client func(cpu, port string) *exec.Cmd) string {
	t.Helper()
	measuring, peer := ourCores(t)
	port := freePort(t)
	s := server(peer, port)
	require.NoError(t, s.Start())
	defer func() {
		s.Process.Kill() // it ends by itself, unless the client failed
		s.Wait()
	}()
	awaitListener(t, port)
	c := client(measuring, port)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(t, err, "%s%s", out, &stderr)
	return string(out)
}

// ucxColumn is a figure of the CSV that ucx_perftest -v prints: microseconds or
// mebibytes a second.
func ucxColumn(t *testing.T, csv, name string) float64 {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(csv), "\n")
	require.Greater(t, len(lines), 1, csv)
	titles, values := strings.Split(lines[0], ","), strings.Split(lines[len(lines)-1], ",")
	require.Len(t, values, len(titles), csv)
	for i, title := range titles {
		if title == name {
			v, err := strconv.ParseFloat(values[i], 64)
			require.NoError(t, err, csv)
			return v
		}
	}
	require.Fail(t, "no column "+name, csv)
	return 0
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
