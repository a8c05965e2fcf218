package transport

import (
	"regexp"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOwner(t *testing.T) {
	t.Parallel()
	var o Owner
	require.NoError(t, o.Acquire())
	require.Equal(t, ErrConcurrentUse, o.Acquire())
	require.False(t, o.TryAcquireBackground())
	o.Release()
	require.True(t, o.TryAcquireBackground())
	require.False(t, o.TryAcquireBackground())
	o.Release()
	require.NoError(t, o.Acquire())
	o.Release()
	require.True(t, o.Retire())
	require.False(t, o.Retire())
	require.Equal(t, ErrClosed, o.Acquire())
	require.False(t, o.TryAcquireBackground())
	o.Quiesce() // of a retired word returns
}

// requireBlocked checks that done is not closed while cond holds, and is once
// release was called.
func requireBlocked(t *testing.T, done <-chan struct{}, release func()) {
	t.Helper()
	for range 100 {
		runtime.Gosched()
		select {
		case <-done:
			t.Fatal("did not wait")
		default:
		}
	}
	release()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("waits for ever")
	}
}

const patience = 30 * time.Second // only a defect makes a test wait as long

func inBackground(f func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return done
}

func TestOwnerAcquireWaitsForBackground(t *testing.T) {
	t.Parallel()
	var o Owner
	require.True(t, o.TryAcquireBackground())
	var err error
	requireBlocked(t, inBackground(func() { err = o.Acquire() }), o.Release)
	require.NoError(t, err)
	require.Equal(t, ErrConcurrentUse, o.Acquire())
}

func TestOwnerRetireWaitsForTheHolder(t *testing.T) {
	t.Parallel()
	for name, acquire := range map[string]func(o *Owner) bool{
		"program":    func(o *Owner) bool { return o.Acquire() == nil },
		"background": (*Owner).TryAcquireBackground,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var o Owner
			require.True(t, acquire(&o))
			requireBlocked(t, inBackground(func() { o.Retire() }), o.Release)
			require.Equal(t, ErrClosed, o.Acquire())
		})
	}
}

// waitsInQuiesce finds a goroutine that has seen the word, and looks again.
var waitsInQuiesce = regexp.MustCompile(`runtime\.Gosched\(.*\n.*\n.*\(\*Owner\)\.Quiesce\(`)

// TestOwnerQuiesce: it waits for who is inside, and not for who comes next. Nobody else
// waits while it runs: it is not parallel.
func TestOwnerQuiesce(t *testing.T) {
	var o Owner
	o.Quiesce()
	require.NoError(t, o.Acquire())
	stacks := make([]byte, 1<<20)
	requireBlocked(t, inBackground(o.Quiesce), func() {
		require.Eventually(t, func() bool {
			return waitsInQuiesce.Match(stacks[:runtime.Stack(stacks, true)])
		}, patience, time.Millisecond, "it does not come to its waiting")
		o.Release()
		require.NoError(t, o.Acquire())
	})
	o.Release()
}

// TestOwnerExcludes has the program's goroutines, a background side and Quiesce
// at it at once. The plain counter is guarded by the word alone, which the race
// detector checks.
func TestOwnerExcludes(t *testing.T) {
	t.Parallel()
	const rounds = 20_000
	var o Owner
	var inside int
	var taken, refused atomic.Int64
	enter := func() {
		inside++
		taken.Add(1)
		o.Release()
	}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range rounds {
				switch err := o.Acquire(); err {
				case nil:
					enter()
				case ErrConcurrentUse:
					refused.Add(1)
					runtime.Gosched()
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range rounds {
			if o.TryAcquireBackground() {
				enter()
			}
		}
	})
	wg.Go(func() {
		for range rounds {
			o.Quiesce()
		}
	})
	wg.Wait()
	require.True(t, o.Retire())
	require.EqualValues(t, taken.Load(), inside)
	require.GreaterOrEqual(t, taken.Load()+refused.Load(), int64(2*rounds))
}
