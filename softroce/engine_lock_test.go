package softroce

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEngineLockIsExclusive(t *testing.T) {
	t.Parallel()
	var (
		lock  engineLock
		count int // guarded by lock: the race detector and the sum tell
		wg    sync.WaitGroup
	)
	const each = 5000
	for i := range 4 {
		wg.Go(func() {
			for n := 0; n < each; {
				if i%2 == 0 {
					lock.Lock()
				} else if !lock.TryLock() {
					continue
				}
				count++
				n++
				lock.Unlock()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 4*each, count)
	require.Zero(t, lock.word.Load())
}

// One that waits comes before one that tries again and again.
func TestEngineLockWaiterComesFirst(t *testing.T) {
	t.Parallel()
	var lock engineLock
	require.True(t, lock.TryLock())
	lock.word.Add(lockWaiter)
	lock.Unlock()
	require.False(t, lock.TryLock(), "somebody waits")
	lock.word.Add(^uint32(lockWaiter - 1))
	require.True(t, lock.TryLock())
}
