package softroce

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTurnIsExclusive(t *testing.T) {
	t.Parallel()
	var (
		turn  turn
		count int // guarded by turn: the race detector and the sum tell
		wg    sync.WaitGroup
	)
	const each = 5000
	for i := range 4 {
		wg.Go(func() {
			for n := 0; n < each; {
				if i%2 == 0 {
					turn.take()
				} else if !turn.try() {
					continue
				}
				count++
				n++
				turn.give()
			}
		})
	}
	wg.Wait()
	require.Equal(t, 4*each, count)
	require.Zero(t, turn.word.Load())
}

// One that waits comes before one that tries again and again.
func TestTurnWaiterComesFirst(t *testing.T) {
	t.Parallel()
	var turn turn
	require.True(t, turn.try())
	turn.word.Add(turnWaiter)
	turn.give()
	require.False(t, turn.try(), "somebody waits")
	turn.word.Add(^uint32(turnWaiter - 1))
	require.True(t, turn.try())
}
