package benchmarks

import (
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// forever is more than any of these tests waits for.
const forever = 2_000_000_000

// peers are the tests that have a peer in a process of its own, by mode.
func peers() (all []Config) {
	for _, info := range Tests() {
		if lookup(info.Name).serve == nil {
			continue
		}
		var functions []Function
		if info.NeedsFunctions {
			functions = []Function{golang("echo")}
		}
		for _, mode := range info.Modes {
			all = append(all, Config{Test: info.Name, Mode: mode, Iterations: forever, Functions: functions})
		}
	}
	return all
}

// A peer that dies ends the measurement, at any moment of it, with an error that
// says so, and leaves nothing behind.
func TestPeerIsKilled(t *testing.T) {
	requireTwoCores(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	requireNoLeak(t, func() {
		for _, c := range peers() {
			t.Run(c.Test+"/"+c.Mode, func(t *testing.T) {
				for range effort.Of(1, 2) {
					delay := time.Duration(random.Int64N(int64(50 * time.Millisecond)))
					killed := make(chan time.Time, 1)
					c.peerReady = func(pid int) {
						time.AfterFunc(delay, func() {
							killed <- time.Now()
							syscall.Kill(pid, syscall.SIGKILL)
						})
					}
					results, err := Run(t.Context(), c)
					require.Empty(t, results)
					require.ErrorContains(t, err, "ended during the measurement: signal: killed")
					require.ErrorContains(t, err, c.Test+" at ")
					require.Less(t, time.Since(<-killed), 10*time.Second)
				}
			})
		}
	})
}

// The context ends a measurement, and the peer with it.
func TestCancel(t *testing.T) {
	requireTwoCores(t)
	requireNoLeak(t, func() {
		for _, c := range append(peers(), Config{Test: "baseline-memcpy-bw", Iterations: forever},
			Config{Test: "send-lat", Transport: "loopback:", Iterations: forever}) {
			t.Run(c.Test+"/"+c.Transport+c.Mode, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
				defer cancel()
				var peer int
				c.peerReady = func(pid int) { peer = pid }
				_, err := Run(ctx, c)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				if peer != 0 && peer != os.Getpid() {
					require.ErrorIs(t, syscall.Kill(peer, 0), syscall.ESRCH)
				}
			})
		}
	})
}

// A peer that was stopped cannot end by itself. The context still ends the
// measurement, and the peer.
func TestCancelWithStoppedPeer(t *testing.T) {
	requireTwoCores(t)
	for _, test := range []string{"write-lat", "send-lat", "baseline-block-lat", "baseline-udp-lat", "baseline-udp-bw"} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var peer int
		c := Config{Test: test, Iterations: forever, peerReady: func(pid int) {
			peer = pid
			time.AfterFunc(20*time.Millisecond, func() {
				syscall.Kill(pid, syscall.SIGSTOP)
				cancel()
			})
		}}
		_, err := Run(ctx, c)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorIs(t, syscall.Kill(peer, 0), syscall.ESRCH)
	}
}

// requireNoLeak fails when f leaves descriptors or goroutines behind.
func requireNoLeak(t *testing.T, f func()) {
	t.Helper()
	runOne(t, Config{Test: "send-lat", Iterations: 1}) // what the first one opens for good
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	fds, goroutines := descriptors(), runtime.NumGoroutine()
	f()
	require.Eventually(t, func() bool { return descriptors() <= fds && runtime.NumGoroutine() <= goroutines+1 },
		5*time.Second, 10*time.Millisecond, "descriptors or goroutines are left")
}
