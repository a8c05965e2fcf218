package handle_test

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/handle"
)

// A random walk against a plain map: whatever is added is found under its
// handle, whatever was removed is not, and no handle returns soon.
func TestTableAgainstMap(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	var table handle.Table[int]
	model := map[uint32]*int{}
	var handles, gone []uint32
	for range 20000 {
		if r.IntN(100) < 55 || len(handles) == 0 {
			v := new(int)
			h, err := table.Add(v, 77)
			require.NoError(t, err)
			require.NotZero(t, h)
			require.NotContains(t, model, h, "handle given out twice")
			model[h] = v
			handles = append(handles, h)
		} else {
			i := r.IntN(len(handles))
			h := handles[i]
			handles[i] = handles[len(handles)-1]
			handles = handles[:len(handles)-1]
			require.True(t, table.Remove(h))
			require.False(t, table.Remove(h))
			delete(model, h)
			gone = append(gone, h)
		}
	}
	for h, v := range model {
		require.Same(t, v, table.Get(h))
	}
	for _, h := range gone {
		if model[h] == nil {
			require.Nil(t, table.Get(h))
		}
	}
	require.Len(t, table.All(), len(model))
}

// However few objects there are at a time, handles do not come back: a stale one opens
// nothing, after a million others.
func TestHandlesDoNotRepeat(t *testing.T) {
	var table handle.Table[int]
	v := new(int)
	long, err := table.Add(v, 5)
	require.NoError(t, err)
	given := map[uint32]bool{long: true}
	for range 1 << 20 {
		h, err := table.Add(v, 5)
		require.NoError(t, err)
		if given[h] {
			t.Fatalf("%#x is given out again after %d others", h, len(given))
		}
		given[h] = true
		table.Remove(h)
	}
	require.Same(t, v, table.Get(long))
}

// At the end of the numbers they begin anew, without those that are in use.
func TestHandlesWrap(t *testing.T) {
	var table handle.Table[int]
	const first = 1<<32 - 10
	given := map[uint32]*int{}
	for range 100 {
		v := new(int)
		h, err := table.Add(v, first)
		require.NoError(t, err)
		require.NotZero(t, h)
		require.NotContains(t, given, h)
		given[h] = v
	}
	for h, v := range given {
		require.Same(t, v, table.Get(h))
	}
}

func TestTableFull(t *testing.T) {
	var table handle.Table[int]
	v := new(int)
	n := 0
	for {
		if _, err := table.Add(v, 0); err != nil {
			require.ErrorIs(t, err, handle.ErrFull)
			break
		}
		n++
	}
	require.GreaterOrEqual(t, n, handle.Max)
}

func TestGetAllocatesNothing(t *testing.T) {
	var table handle.Table[int]
	h, err := table.Add(new(int), 1)
	require.NoError(t, err)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if table.Get(h) == nil {
			t.Fatal("lost")
		}
	}))
}
