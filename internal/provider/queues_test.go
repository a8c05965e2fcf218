package provider

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// Sequence numbers wrap, in all that counts with them.
const nearWrap = 1<<32 - 3

func TestRing(t *testing.T) {
	t.Parallel()
	for depth, size := range map[uint32]uint32{0: 1, 1: 1, 2: 2, 3: 4, 64: 64, 65: 128} {
		r := NewRing[uint32](depth)
		require.Equal(t, size, r.Len())
		first := uint32(nearWrap)
		for i := range size {
			*r.At(first + i) = i
		}
		for i := range size {
			require.Equal(t, i, *r.At(first + i))
		}
	}
}

func TestCredits(t *testing.T) {
	t.Parallel()
	c := NewCredits(5)
	c.taken = nearWrap
	c.given.Store(nearWrap)
	require.Equal(t, 3, c.Take(3))
	require.Equal(t, 2, c.Take(3), "as many as there are")
	require.Zero(t, c.Take(1))
	c.Give(4)
	require.Equal(t, 4, c.Take(9))
}

func TestReceiveQueue(t *testing.T) {
	t.Parallel()
	r := NewReceiveQueue(3)
	r.head = nearWrap
	r.tail.Store(nearWrap)
	posted, taken := uint64(0), uint64(0)
	post := func(n int) (int, error) {
		wrs := make([]transport.WorkRequest, n)
		for i := range wrs {
			wrs[i].ID = posted + uint64(i)
		}
		n, err := r.Post(wrs)
		posted += uint64(n)
		return n, err
	}
	require.Nil(t, r.First())
	require.Nil(t, r.Take())
	require.False(t, r.Starved.Load())
	require.Nil(t, r.Starve())
	require.True(t, r.Starved.Load())
	for range 10 {
		n, err := post(2)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		n, err = post(2)
		require.ErrorIs(t, err, transport.ErrQueueFull)
		require.Equal(t, 1, n)
		require.Equal(t, 3, r.Posted())
		for range 3 {
			require.Equal(t, taken, r.First().ID)
			require.Equal(t, taken, r.Take().ID)
			taken++
		}
		n, err = post(1)
		require.ErrorIs(t, err, transport.ErrQueueFull, "no completion was polled")
		require.Zero(t, n)
		r.Credits.Give(3)
	}
}

// pushed is a queue, and what pushes into it.
func pushed(depth uint32) (c *CompletionQueue, push func(id uint64, status transport.Status, solicited bool), drained func() bool) {
	queue, credits, times := NewCompletionQueue(depth), NewCredits(depth), 0
	holds := &Holds{}
	holds.Open(func() { times++ })
	push = func(id uint64, status transport.Status, solicited bool) {
		credits.Take(1)
		queue.Push(Completion{Completion: transport.Completion{ID: id, Status: status}, Holds: holds, Credits: &credits, Freed: 1}, solicited)
	}
	return &queue, push, func() bool {
		if holds.count.Load() == 1 { // all polled
			holds.Release()
		}
		return times == 1 && credits.Take(int(depth)) == int(depth)
	}
}

func TestCompletionQueue(t *testing.T) {
	t.Parallel()
	c, push, drained := pushed(4)
	c.head = nearWrap
	c.tail.Store(nearWrap)
	var cs [3]transport.Completion
	for id := uint64(0); id < 40; id += 4 {
		for i := range uint64(4) {
			push(id+i, transport.StatusOK, false)
		}
		for _, only := range []bool{false, true} {
			ready, err := c.Arm(only)
			require.NoError(t, err)
			require.True(t, ready, "there is something already")
		}
		require.Equal(t, 3, c.Pop(cs[:]))
		require.Equal(t, id+2, cs[2].ID)
		require.False(t, drained(), "one was not polled")
		require.Equal(t, 1, c.Pop(cs[:]))
		require.Equal(t, id+3, cs[0].ID)
		require.Zero(t, c.Pop(cs[:]))
	}
	ready, err := c.Arm(false)
	require.NoError(t, err)
	require.False(t, ready)
	require.True(t, drained())
}

func TestCompletionQueueDropsWhenClosed(t *testing.T) {
	t.Parallel()
	c, push, drained := pushed(4)
	push(1, transport.StatusOK, false)
	c.Close()
	push(2, transport.StatusOK, false)
	require.ErrorIs(t, c.Wait(t.Context()), transport.ErrClosed)
	require.True(t, drained())
}

func TestPushAndPopAllocateNothing(t *testing.T) {
	c, push, _ := pushed(4)
	var cs [4]transport.Completion
	require.Zero(t, testing.AllocsPerRun(100, func() {
		push(1, transport.StatusOK, true)
		c.Pop(cs[:])
	}))
}

func TestAccount(t *testing.T) {
	t.Parallel()
	a := Account{Provider: "test"}
	require.NoError(t, a.Err())
	a.Opened("queue pair")
	a.Opened("memory region")
	a.Opened("memory region")
	require.EqualError(t, a.Err(), "test: closed while these are open: 1 queue pair, 2 memory region")
	a.Closed("queue pair")
	require.EqualError(t, a.Err(), "test: closed while these are open: 2 memory region")
}
