package shm

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A request while the work is being done, which may have looked already, has it
// done again.
func TestErrandAgain(t *testing.T) {
	t.Parallel()
	var e errand
	require.True(t, e.request())
	require.True(t, e.finished())
	require.True(t, e.request())
	require.False(t, e.request(), "it is being done")
	require.False(t, e.request())
	require.False(t, e.finished(), "it has to be done again")
	require.True(t, e.finished(), "once for both")
	require.True(t, e.request())
}

// The work sees everything that happened before a request.
func TestErrandLosesNothing(t *testing.T) {
	t.Parallel()
	var e errand
	var mu sync.Mutex
	laid, found := 0, 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20_000 {
				mu.Lock()
				laid++
				mu.Unlock()
				if !e.request() {
					continue
				}
				for done := false; !done; done = e.finished() {
					mu.Lock()
					found = laid
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 80_000, laid)
	require.Equal(t, laid, found)
}
