package softroce

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The heap against a plain map, at random.
func TestTimers(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var heap timers
	want := map[*queuePair]time.Duration{}
	pairs := make([]queuePair, 50)
	for range 20_000 {
		q := &pairs[r.IntN(len(pairs))]
		switch r.IntN(4) {
		case 0, 1:
			at := time.Duration(1 + r.IntN(1000))
			heap.set(q, at)
			if old, ok := want[q]; !ok || at < old {
				want[q] = at
			}
		case 2:
			heap.remove(q)
			delete(want, q)
		case 3:
			if len(want) == 0 {
				require.Equal(t, never, heap.first())
				continue
			}
			first := never
			for _, at := range want {
				first = min(first, at)
			}
			require.Equal(t, first, heap.first())
			popped := heap.pop()
			require.Equal(t, first, want[popped])
			delete(want, popped)
		}
		require.Len(t, heap, len(want))
	}
}
