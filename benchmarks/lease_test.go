package benchmarks

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// One run has leases that are not used, messages, leases that are used and first results,
// over whatever leads to other processes. Nothing remains.
func TestLeases(t *testing.T) {
	requireTwoCores(t)
	n := effort.Of(1, 3)
	for _, transport := range []string{"shm", "softroce"} {
		for _, mode := range []string{Hot, Adaptive} {
			if (transport == "shm") != (mode == Hot) && !effort.Whole() {
				continue // each of them once
			}
			t.Run(transport+"/"+mode, func(t *testing.T) {
				requireNoLeak(t, func() {
					var got []string
					for _, r := range runOne(t, Config{Test: leaseLat, Transport: transport + ":", Iterations: n, Mode: mode, Functions: []Function{golang("echo")}}) {
						got = append(got, fmt.Sprint(r.name(), " ", r.Mode))
						require.Equal(t, transport, r.Transport)
						require.Equal(t, 512, r.SizeBytes)
						require.Equal(t, n, r.Iterations)
						require.EqualValues(t, n, count(r))
						require.Positive(t, r.RTT.Min)
						require.Positive(t, r.OpsPerSecond)
						require.ErrorIs(t, syscall.Kill(r.PeerPID, 0), syscall.ESRCH, "the process has ended and was reaped")
						if strings.HasPrefix(r.Test, "lease-") && r.Steps != nil {
							require.Positive(t, r.Steps.Lease)
							require.Positive(t, r.Steps.Connect)
							require.Positive(t, r.Steps.Call)
							require.Positive(t, r.Steps.Fence)
						}
					}
					require.Equal(t, []string{
						"lease-lat " + mode, "send-lat " + mode, "lease-used echo cold adaptive",
						"lease-first-call echo cold adaptive", "lease-first-call echo spare adaptive",
						"cold-start echo cold adaptive", "cold-start echo spare adaptive",
					}, got)
				})
			})
		}
	}
}

// Code that comes in a file is leased, too, and the file remains the caller's.
func TestLeaseOfCode(t *testing.T) {
	f := nativeEcho(t)
	for range 2 {
		results := runOne(t, Config{Test: "lease-used", Functions: []Function{f}, Iterations: 1})
		require.Equal(t, f.Label, results[0].Function)
	}
	_, err := f.Order.Code.Stat()
	require.NoError(t, err)
}

// Processes are told apart by when they started.
func TestBornOf(t *testing.T) {
	t.Parallel()
	before, err := ticksNow()
	require.NoError(t, err)
	child := exec.Command("/bin/sleep", "1000")
	require.NoError(t, child.Start())
	defer child.Wait()
	defer child.Process.Kill()
	born, err := bornOf(child.Process.Pid)
	require.NoError(t, err)
	require.GreaterOrEqual(t, born, before)
	after, err := ticksNow()
	require.NoError(t, err)
	require.LessOrEqual(t, born, after)
	_, err = bornOf(-1)
	require.Error(t, err)
}

// Functions that fail, and agents that grant nothing or die, end the measurement.
func TestLeasesFail(t *testing.T) {
	for _, test := range []string{"lease-used", "lease-first-call"} {
		for want, f := range map[string]Function{
			": fails: invoke: function \"fails\" on ": golang("fails"),
			": dies: ":    golang("dies"),
			": nothing: ": golang("nothing"),
		} {
			requireNoLeak(t, func() {
				results, err := Run(t.Context(), Config{Test: test, Functions: []Function{f}, Iterations: 1})
				require.ErrorContains(t, err, test+" at 64 bytes"+want)
				require.Empty(t, results)
			})
		}
	}
}

// The table says how long leases take beside messages of the same run.
func TestLeaseRatio(t *testing.T) {
	t.Parallel()
	result := func(test, mode string, p50 int64) Result {
		return Result{Test: test, Transport: "shm", Mode: mode, SizeBytes: 512, RTT: RoundTrips{P50: p50, Max: p50}}
	}
	var b bytes.Buffer
	require.NoError(t, WriteTable(&b, result(leaseLat, Hot, 4100), result(sendLat, Adaptive, 2000), result(sendLat, Hot, 1000), result(leaseLat, Warm, 1)))
	require.Equal(t, "lease-lat on shm, hot: grant and release take 4.10 x send-lat (p50)\n", b.String()[strings.LastIndex(b.String(), "lease-lat on"):])
}

// The steps of a lease have names of their own.
func TestLeaseSteps(t *testing.T) {
	t.Parallel()
	u := newTally(subject{result: Result{Test: "lease-used", SizeBytes: 64, Start: StartCold, Function: "echo"}}, steps.sum)
	for _, ns := range []int64{1, 3, 2} {
		u.add(steps{lease: ns, connect: 10 * ns, call: 100 * ns, fence: 1000 * ns})
	}
	r := u.summary()
	require.Equal(t, &Steps{Lease: 2, Connect: 20, Call: 200, Fence: 2000}, r.Steps)
	require.EqualValues(t, 2222, r.RTT.P50)
	require.EqualValues(t, 222, steps{lease: 2, connect: 20, call: 200, fence: 2000}.untilResult())
	require.InEpsilon(t, 3e9/6666, r.OpsPerSecond, 1e-6)
	var b strings.Builder
	writeFunctions(&b, []Result{r})
	require.Equal(t, "lease-used echo cold, 64 B: lease 2 ns, connection 20 ns, first call 200 ns, release and fence 2 us (medians)\n", b.String())
}
