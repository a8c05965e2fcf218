package job

import (
	"github.com/rfaas-go/rfaas/invoke/executor"

	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
)

func report(outcomes ...Outcome) *Report {
	return &Report{
		Function: "thumbnailer", Directory: "out", Elapsed: 2 * time.Second, Outcomes: outcomes,
		Workers: []WorkerReport{
			{Number: 1, PID: 4711, Core: 3, Calls: 2, Busy: 1900 * time.Millisecond},
			{Number: 2, PID: 1234567, Core: executor.AnyCore, Calls: 1, Busy: time.Millisecond, Replaced: 2},
		},
	}
}

func done(name string, ms time.Duration) Outcome {
	return Outcome{
		Input: &Input{Name: name}, State: Done, Attempts: 1, BytesIn: 1_500_000, BytesOut: 10_000,
		Call: ms * time.Millisecond, Execution: ms * time.Millisecond / 2,
	}
}

func requireSummary(t *testing.T, r *Report, want string) {
	t.Helper()
	var b strings.Builder
	require.NoError(t, r.WriteSummary(&b))
	if d := cmp.Diff(strings.TrimPrefix(want, "\n"), b.String()); d != "" {
		t.Error(d)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	requireSummary(t, report(done("a", 10), done("b", 20), done("c", 40)), `
thumbnailer: 3 of 3 inputs done, in 2.00 s; results in out
  throughput  1.50 inputs/s, in 2.25 MB/s, out 15.0 kB/s
  call        p50 20.0 ms, p90 40.0 ms, p99 40.0 ms, max 40.0 ms
  function    p50 10.0 ms, p90 20.0 ms, p99 20.0 ms, max 20.0 ms
  worker  process  core  calls  busy  replaced
       1     4711     3      2   95%         0
       2  1234567   any      1    0%         2
  lost and replaced: 2 worker processes; tried again: 0 inputs
`)
}

func TestSummaryOfTrouble(t *testing.T) {
	t.Parallel()
	again := done("b", 20)
	again.Attempts = 2
	r := report(done("a", 10), again,
		Outcome{Input: &Input{Name: "evil\x1b[2J\nname"}, State: Failed, Reason: "broken\r\nbadly"},
		Outcome{Input: &Input{Name: "d"}}, Outcome{Input: &Input{Name: "e"}})
	r.Interrupted = true
	r.Notes = []string{"something to know"}
	requireSummary(t, r, `
thumbnailer: 2 of 5 inputs done, 1 failed, 2 not tried, in 2.00 s; results in out
  throughput  1.00 inputs/s, in 1.50 MB/s, out 10.0 kB/s
  call        p50 10.0 ms, p90 20.0 ms, p99 20.0 ms, max 20.0 ms
  function    p50 5.00 ms, p90 10.0 ms, p99 10.0 ms, max 10.0 ms
  worker  process  core  calls  busy  replaced
       1     4711     3      2   95%         0
       2  1234567   any      1    0%         2
  lost and replaced: 2 worker processes; tried again: 1 input
  note: something to know
failed:
  evil\x1b[2J\nname: broken\r\nbadly
not tried: 2 inputs, from d on: interrupted
`)
	require.False(t, r.Complete())
}

func TestSummaryOfNothing(t *testing.T) {
	t.Parallel()
	r := &Report{Function: "echo", Outcomes: []Outcome{{Input: &Input{Name: "a"}}}, Stopped: errors.New("no worker"), Elapsed: time.Millisecond}
	requireSummary(t, r, `
echo: 0 of 1 input done, 1 not tried, in 1.00 ms
not tried: 1 input, from a on: no worker
`)
}

func TestShortDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0 s", 7: "7.00 ns", 640: "640 ns", 61_234: "61.2 us", 812 * time.Millisecond: "812 ms",
		1234 * time.Millisecond: "1.23 s", 75 * time.Second: "75.0 s", 3661 * time.Second: "1h1m1s",
	} {
		require.Equal(t, want, shortDuration(d))
	}
}

func TestSignificant(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{0: "0", 12345: "12345", 99.94: "99.9", 1.234: "1.23", 0.0123: "0.01", 0.00015: "0.00015", 1.3e-05: "0.000013", 9.1e-7: "0.00000091"} {
		require.Equal(t, want, significant(x))
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for perSecond, want := range map[float64]string{0: "0 B/s", 13: "13.0 B/s", 0.5: "0.50 B/s", 1300: "1.30 kB/s", 2.25e6: "2.25 MB/s", 12e9: "12.0 GB/s"} {
		require.Equal(t, want, rate(perSecond))
	}
}
