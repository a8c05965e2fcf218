package simnet_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/internal/simnet"
)

func TestClock(t *testing.T) {
	t.Parallel()
	n := simnet.New(1, time.Second)
	require.Equal(t, time.Second, n.Now())
	require.False(t, n.Step())
	_, ok := n.Next()
	require.False(t, ok)

	var order []string
	note := func(s string) func() { return func() { order = append(order, s) } }
	n.After(3, note("d"))
	n.After(1, note("a"))
	n.After(2, note("b"))
	n.After(2, func() { order = append(order, "c"); n.After(0, note("c2")) })
	n.After(10, note("e"))
	at, ok := n.Next()
	require.True(t, ok)
	require.Equal(t, time.Second+1, at)
	require.Empty(t, order, "nothing happens before the clock is moved")

	require.True(t, n.Step())
	require.Equal(t, []string{"a"}, order)
	require.Equal(t, time.Second+1, n.Now())
	n.Advance(time.Second + 2)
	require.Equal(t, []string{"a", "b", "c", "c2"}, order, "in the order asked for, what was asked for meanwhile included")
	n.Advance(time.Second + 9)
	require.Equal(t, "d", order[4])
	require.Equal(t, time.Second+9, n.Now(), "the clock stands where it was moved, not at the last call")
	n.Advance(time.Second + 10)
	require.Len(t, order, 6)

	require.PanicsWithValue(t, "simnet: the clock shows 1.00000001s, and cannot go back to 1s", func() { n.Advance(time.Second) })
	require.PanicsWithValue(t, "simnet: a call at -1ns from now would never come", func() { n.After(-1, func() {}) })
}

// TestAgenda: many moments, asked for in any order, come in theirs.
func TestAgenda(t *testing.T) {
	t.Parallel()
	n := simnet.New(1, 0)
	type moment struct {
		at     time.Duration
		number int
	}
	var got []moment
	x := uint32(1)
	for i := range 2000 {
		x = x*1664525 + 1013904223
		at := time.Duration(x >> 24)
		n.After(at, func() {
			require.Equal(t, at, n.Now())
			got = append(got, moment{at, i})
		})
	}
	n.Advance(256)
	require.Len(t, got, 2000)
	for i := 1; i < len(got); i++ {
		a, b := got[i-1], got[i]
		require.True(t, a.at < b.at || a.at == b.at && a.number < b.number, "%v before %v", a, b)
	}
}

func TestPartition(t *testing.T) {
	t.Parallel()
	n := simnet.New(1, 0)
	got := map[string]int{}
	ends := map[string]*simnet.End{}
	names := []string{"a", "b", "c"}
	for _, name := range names {
		ends[name] = n.Attach(name, func(from *simnet.End, _ []byte) { got[from.String()+name]++ })
	}
	for i, x := range names {
		for _, y := range names[i+1:] {
			n.Join(ends[x], ends[y], simnet.Config{Delay: 5})
		}
	}
	everybody := func() {
		clear(got)
		for _, x := range names {
			for _, y := range names {
				if x != y {
					ends[x].Send(ends[y], []byte{1})
				}
			}
		}
	}
	all := map[string]int{"ab": 1, "ac": 1, "ba": 1, "bc": 1, "ca": 1, "cb": 1}

	everybody()
	n.Advance(5)
	require.Equal(t, all, got)

	everybody()
	n.Partition(ends["b"])
	n.Advance(10)
	require.Equal(t, map[string]int{"ac": 1, "ca": 1}, got, "what was under way when the network was divided is lost")
	everybody()
	n.Advance(15)
	require.Equal(t, map[string]int{"ac": 1, "ca": 1}, got)

	n.Heal()
	n.Advance(20)
	require.Equal(t, map[string]int{"ac": 1, "ca": 1}, got, "and stays lost")
	everybody()
	n.Advance(25)
	require.Equal(t, all, got)

	everybody()
	n.Partition(ends["b"])
	n.Heal()
	n.Advance(n.Now() + 5)
	require.Equal(t, map[string]int{"ac": 1, "ca": 1}, got, "a short cut is enough")

	ends["c"].Lane(ends["a"]).Cut()
	everybody()
	n.Advance(n.Now() + 5)
	require.Equal(t, map[string]int{"ab": 1, "ac": 1, "ba": 1, "bc": 1, "cb": 1}, got, "one direction of one pair")
	ends["c"].Lane(ends["a"]).Heal()
	everybody()
	n.Advance(n.Now() + 5)
	require.Equal(t, all, got)
}

// TestMisuse: mistakes of who writes a test are told at once.
func TestMisuse(t *testing.T) {
	t.Parallel()
	n := simnet.New(1, 0)
	nothing := func(*simnet.End, []byte) {}
	a, b, c := n.Attach("a", nothing), n.Attach("b", nothing), n.Attach("c", nothing)
	n.Join(a, b, simnet.Config{})
	require.PanicsWithValue(t, "simnet: a and c are not joined", func() { a.Send(c, nil) })
	require.PanicsWithValue(t, "simnet: b and a are joined already", func() { n.Join(b, a, simnet.Config{}) })
	for text, config := range map[string]simnet.Config{
		"simnet: Loss is 1.5, which is no chance":              {Loss: 1.5},
		"simnet: Flip is -1, which is no chance":               {Flip: -1},
		"simnet: Delay is -1":                                  {Delay: -1},
		"simnet: QueueBytes is -7":                             {QueueBytes: -7},
		"simnet: Reorder without ReorderBy holds nothing back": {Reorder: 0.1},
		"simnet: runs of 2 cannot add up to a loss of 0.9":     {Loss: 0.9, LossRun: 2},
	} {
		require.PanicsWithValue(t, text, func() { n.Join(a, c, config) })
	}
}
