package verbs

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

func sends(ids ...uint64) []transport.WorkRequest {
	wrs := make([]transport.WorkRequest, len(ids))
	for i, id := range ids {
		wrs[i] = transport.WorkRequest{ID: id, Op: transport.OpSend}
	}
	return wrs
}

func startedAt(o *outstanding, seq uint32) *outstanding {
	o.posted.Store(seq)
	o.handed.Store(seq)
	o.freed.Store(seq)
	o.marked = seq
	return o
}

func TestOutstanding(t *testing.T) {
	t.Parallel()
	for _, start := range []uint32{0, 1<<positionBits - 2, 1<<32 - 2} { // counters wrap
		o := startedAt(newOutstanding(4), start)
		require.Equal(t, start, o.add(sends(1, 2, 3, 4)))
		o.hand()
		require.Zero(t, o.room())
		r, ok := o.complete((start + 2) & positionMask)
		require.True(t, ok)
		require.Equal(t, uint64(3), r.id, "the first two were silent")
		for _, wrong := range []uint32{start, start + 2, start + 4, start + 1000} {
			_, ok := o.complete(wrong & positionMask)
			require.False(t, ok, "%d is not outstanding", wrong-start)
		}
		require.Equal(t, 3, o.room())
		_, ok = o.next(false)
		require.False(t, ok, "the device still has it")
		o.marked = start + 4
		_, ok = o.next(false)
		require.False(t, ok, "it succeeded silently")
		require.True(t, o.empty())
		require.Equal(t, 4, o.room())
	}
}

// Random walks: withheld records are flushed once, in order, after those of the device.
func TestOutstandingFlush(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		o := startedAt(newOutstanding(8), random.Uint32())
		id := uint64(0)
		post := func(n int) {
			for range min(n, o.room()) {
				id++
				o.add(sends(id))
			}
		}
		post(random.IntN(9))
		o.hand()
		device := o.posted.Load()
		o.withhold(device)
		want := id - uint64(random.IntN(int(id)+1)) // the device completes so many
		if want > 0 {
			r, ok := o.complete((o.freed.Load() + uint32(want) - 1) & positionMask)
			require.True(t, ok)
			require.Equal(t, want, r.id)
		}
		post(8)
		if want < uint64(device-(o.posted.Load()-uint32(id))) {
			_, ok := o.next(false)
			require.False(t, ok, "the device still has some")
		}
		all := random.IntN(2) == 0
		next := want + 1
		if !all {
			o.marked = device
			next = max(next, uint64(device-(o.posted.Load()-uint32(id)))+1)
		}
		for range 100 {
			r, ok := o.next(all)
			if !ok {
				break
			}
			require.Equal(t, next, r.id)
			next++
			if next < 50 {
				post(random.IntN(3))
			}
		}
		for r, ok := o.next(all); ok; r, ok = o.next(all) {
			require.Equal(t, next, r.id)
			next++
		}
		require.True(t, o.empty())
		require.Equal(t, id+1, next)
	}
}
