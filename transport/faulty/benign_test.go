package faulty_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/faulty"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

const benign = "faulty+loopback:?seed=%d&queue-full=0.3&recv-full=0.3&hold=0.3&wake=0.5"

// TestBenignFaultsChangeNothing: whatever the seed, every message arrives, once,
// in order and whole, and every signaled request completes, in order.
func TestBenignFaultsChangeNothing(t *testing.T) {
	t.Parallel()
	var total faulty.Counts
	for seed := range uint64(100) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			a, b := pairtest.New(t, fmt.Sprintf(benign, seed))
			sent := make(chan error, 1)
			go func() { sent <- sendAll(a, seed, messages) }()
			receiveAll(t, b, messages)
			require.NoError(t, <-sent)
			for _, e := range []*pairtest.End{a, b} {
				counts, ok := faulty.Injected(e.Dev.Adapter())
				require.True(t, ok)
				total.QueueFull += counts.QueueFull
				total.RecvFull += counts.RecvFull
				total.Hold += counts.Hold
				total.Wake += counts.Wake
				require.Zero(t, counts.Status+counts.Disconnect)
			}
		})
	}
	require.NotZero(t, total.QueueFull)
	require.NotZero(t, total.RecvFull)
	require.NotZero(t, total.Hold)
	require.NotZero(t, total.Wake)
}

const (
	messages     = 60
	messageBytes = 64
)

// sendAll sends numbered messages, in batches, now and then unsignaled, and
// polls when a post is refused.
func sendAll(e *pairtest.End, seed uint64, count int) error {
	r := rand.New(rand.NewPCG(seed, 1))
	memory, err := e.PD.Alloc(count*messageBytes, transport.LocalOnly)
	if err != nil {
		return err
	}
	var wrs []transport.WorkRequest
	var due []uint64 // signaled and not completed
	for i := range count {
		binary.BigEndian.PutUint64(memory.Bytes()[i*messageBytes:], uint64(i))
		wr := transport.Send(uint64(i), memory.Span(i*messageBytes, messageBytes))
		if i%4 == 3 || i == count-1 {
			wr = wr.With(transport.Signaled)
		}
		wrs = append(wrs, wr)
	}
	for len(wrs) > 0 || len(due) > 0 {
		n, err := e.Conn.Post(wrs[:min(len(wrs), 1+r.IntN(6))]...)
		for _, wr := range wrs[:n] {
			if wr.Flags&transport.Signaled != 0 {
				due = append(due, wr.ID)
			}
		}
		if wrs = wrs[n:]; err != nil && err != transport.ErrQueueFull {
			return err
		}
		if err == nil && len(wrs) > 0 {
			continue
		}
		var cs [3]transport.Completion
		n, err = e.Queue.Wait(context.Background(), cs[:], transport.Warm)
		if err != nil {
			return err
		}
		for _, c := range cs[:n] {
			if c.Status != transport.StatusOK || c.ID != due[0] {
				return fmt.Errorf("%+v where request %d was due", c, due[0])
			}
			due = due[1:]
		}
	}
	return nil
}

// receiveAll receives what sendAll sends.
func receiveAll(t *testing.T, e *pairtest.End, count int) {
	const depth = 8
	memory := e.Alloc(depth*messageBytes, transport.LocalOnly)
	offered, received := 0, 0
	for received < count {
		for offered < min(count, received+depth) {
			_, err := e.Conn.PostRecv(transport.Recv(uint64(offered), memory.Span(offered%depth*messageBytes, messageBytes)))
			if err == transport.ErrQueueFull {
				break
			}
			require.NoError(t, err)
			offered++
		}
		for _, c := range e.Take(1) {
			require.NoError(t, c.Err())
			require.EqualValues(t, received, c.ID)
			require.EqualValues(t, messageBytes, c.Bytes)
			got := binary.BigEndian.Uint64(memory.Bytes()[received%depth*messageBytes:])
			require.EqualValues(t, received, got)
			received++
		}
	}
	e.Nothing()
}

// TestSameSeedSameFaults: a script of one goroutine meets the same faults at
// the same places when it runs again.
func TestSameSeedSameFaults(t *testing.T) {
	t.Parallel()
	script := func(seed int) (log []string) {
		a, b := pairtest.New(t, fmt.Sprintf(benign, seed))
		word := b.Alloc(8, transport.RemoteWrite)
		for i := range 100 {
			_, err := a.Conn.Post(transport.Write(uint64(i), transport.Span{}, word.Remote(0, 8)).With(transport.Signaled))
			var cs [8]transport.Completion
			n := 0
			if i%5 == 4 {
				n, _ = a.Queue.Poll(cs[:])
			}
			log = append(log, fmt.Sprint(err, n))
		}
		return log
	}
	first := script(3)
	require.Contains(t, first, fmt.Sprint(transport.ErrQueueFull, 0))
	require.Equal(t, first, script(3))
	require.NotEqual(t, first, script(4))
}

// TestQueueFullOnlyWhenThereIsSomethingToWaitFor: a program may wait for a
// completion when its post is refused.
func TestQueueFullOnlyWhenThereIsSomethingToWaitFor(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "faulty+loopback:?queue-full=1&recv-full=1")
	word := b.Alloc(8, transport.RemoteWrite)
	silent := transport.Write(1, transport.Span{}, word.Remote(0, 8))
	a.Post(silent, silent, silent.With(transport.Signaled))
	_, err := a.Conn.Post(silent)
	require.Equal(t, transport.ErrQueueFull, err)
	a.Take(1)
	a.Post(silent, silent)

	b.Recv(transport.Recv(1, transport.Span{}))
	n, err := b.Conn.PostRecv(transport.Recv(2, transport.Span{}), transport.Recv(3, transport.Span{}))
	require.Equal(t, transport.ErrQueueFull, err)
	require.Zero(t, n)
	n, err = b.Conn.PostRecv(transport.Recv(2, transport.Span{}), transport.Recv(3, transport.Span{}))
	require.Equal(t, transport.ErrQueueFull, err)
	require.Equal(t, 1, n, "posting again makes progress")
}

// TestHold: a completion is hidden from a program that polls, and the
// queue does not let it sleep meanwhile.
func TestHold(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "faulty+loopback:?hold=1&hold-polls=4&seed=2")
	word := b.Alloc(8, transport.RemoteWrite)
	write := transport.Write(1, transport.Span{}, word.Remote(0, 8)).With(transport.Signaled)
	polls := map[int]bool{}
	for range 50 {
		a.Post(write)
		var cs [2]transport.Completion
		for n := 0; ; n++ {
			got, err := a.Queue.Poll(cs[:])
			require.NoError(t, err)
			if got > 0 {
				polls[n] = true
				break
			}
		}
	}
	require.Equal(t, map[int]bool{1: true, 2: true, 3: true, 4: true}, polls)
	for range 20 {
		a.Post(write, write)
		require.Len(t, a.Take(2), 2)
	}
	counts, _ := faulty.Injected(a.Dev.Adapter())
	require.EqualValues(t, 50+2*20, counts.Hold)
	expectRoom(t, a, b)
}

func TestNoAllocations(t *testing.T) {
	a, b := pairtest.New(t, fmt.Sprintf(benign, 1)+"&status=1e-9")
	word := b.Alloc(8, transport.RemoteWrite)
	var cs [8]transport.Completion
	require.Zero(t, testing.AllocsPerRun(200, func() {
		b.Conn.PostRecv(transport.Recv(1, transport.Span{}), transport.Recv(2, transport.Span{}))
		a.Conn.Post(transport.WriteImm(1, transport.Span{}, word.Remote(0, 8), 5).With(transport.Signaled))
		a.Queue.Poll(cs[:])
		b.Queue.Poll(cs[:])
	}))
}
