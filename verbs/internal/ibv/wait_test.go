//go:build cgo && linux

package ibv

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// patience is long enough for what happens at once.
const patience = 30 * time.Second

// later runs f in a goroutine.
func later[T any](f func() T) <-chan T {
	result := make(chan T, 1)
	go func() { result <- f() }()
	return result
}

// soon is what comes out of c, which it does soon.
func soon[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// parkedIn returns once a goroutine of this test program sleeps in the runtime's
// poller, called by the function. Tests that use it are not parallel: it could be
// the other's.
func parkedIn(t *testing.T, function string) {
	t.Helper()
	require.Eventually(t, func() bool {
		buf := make([]byte, 1<<20)
		return slices.ContainsFunc(strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n"), func(goroutine string) bool {
			head, _, _ := strings.Cut(goroutine, "\n")
			return strings.Contains(head, "[IO wait") && strings.Contains(goroutine, function)
		})
	}, patience, time.Millisecond)
}

type result struct {
	Event
	error
}

func TestEvent(t *testing.T) {
	o := open(t)
	o.qp(t)
	next := func() result { e, err := o.context.Event(); return result{e, err} }

	// One that is there already; its queue pair's number is read before the
	// acknowledgement.
	o.raise(t, EventQPFatal, 0)
	require.Equal(t, result{Event{Type: EventQPFatal, QPN: 0x100}, nil}, next())
	require.Equal(t, "ack_async_event 1\n", o.take())

	// Ones that are waited for, in order.
	for range 3 {
		waiting := later(next)
		parkedIn(t, "ibv.(*Context).Event")
		o.raise(t, EventPortError, 1)
		require.Equal(t, result{Event{Type: EventPortError, Port: 1}, nil}, soon(t, waiting))
	}
	o.raise(t, EventPortActive, 2)
	o.raise(t, EventDeviceFatal, 3)
	require.Equal(t, result{Event{Type: EventPortActive, Port: 2}, nil}, next())
	require.Equal(t, result{Event{Type: EventDeviceFatal}, nil}, next(), "not about a port")

	// Which types are about what.
	for kind := range EventType(21) {
		o.raise(t, kind, 0)
		e := next()
		require.NoError(t, e.error)
		switch kind {
		case EventQPFatal, EventQPRequestError, EventQPAccessError, EventCommunicationEstablished, EventSendQueueDrained,
			EventPathMigrated, EventPathMigrationError, EventQPLastWQEReached:
			require.NotZero(t, e.QPN, kind)
		default:
			require.Zero(t, e.QPN, kind)
		}
		switch kind {
		case EventPortActive, EventPortError, EventLIDChange, EventPKeyChange, EventSMChange, EventClientReregister, EventGIDChange:
			o.raise(t, kind, 7)
			require.Equal(t, Event{Type: kind, Port: 7}, next().Event)
		}
	}
	require.Equal(t, "an event", o.context.library.eventName(3))
	require.Equal(t, "event 20", o.context.library.eventName(20))
}

// Close of the device ends Event, even while objects keep it open.
func TestEventClosed(t *testing.T) {
	o := open(t)
	waiting := later(func() error { _, err := o.context.Event(); return err })
	parkedIn(t, "ibv.(*Context).Event")
	require.ErrorIs(t, o.context.Close(), unix.EBUSY)
	require.ErrorIs(t, soon(t, waiting), os.ErrClosed)
	_, err := o.context.Event()
	require.ErrorIs(t, err, os.ErrClosed)
	require.EqualError(t, err, "ibv_get_async_event of fake0: file already closed")
}

func channel(t *testing.T, o *opened) (*Channel, *CQ, *QP) {
	t.Helper()
	ch, err := o.context.NewChannel()
	require.NoError(t, err)
	cq, err := o.context.NewCQ(10, ch)
	require.NoError(t, err)
	qp, err := o.pd.NewQP(QPInit{SendCQ: cq, RecvCQ: cq, SendDepth: 10})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, qp.Close())
		require.NoError(t, cq.Close())
		require.NoError(t, ch.Close())
	})
	o.take()
	return ch, cq, qp
}

func TestWait(t *testing.T) {
	o := open(t)
	ch, cq, qp := channel(t, o)
	ctx := t.Context()

	require.NoError(t, cq.Arm(true))
	require.NoError(t, cq.Arm(false))
	require.Equal(t, "req_notify_cq 1\nreq_notify_cq 0\n", o.take())

	// An event that is there already, and another: one Wait takes both.
	require.NoError(t, qp.PostMarker(1))
	require.NoError(t, cq.Arm(false))
	require.NoError(t, qp.PostMarker(2))
	o.take()
	require.NoError(t, ch.Wait(ctx))
	require.Equal(t, "ack_cq_events 1\nack_cq_events 1\n", o.take())

	// None is left; the next is waited for.
	for i := range 3 {
		waiting := later(func() error { return ch.Wait(ctx) })
		parkedIn(t, "ibv.(*Channel).Wait")
		require.Empty(t, waiting, i)
		require.NoError(t, cq.Arm(false))
		require.NoError(t, qp.PostMarker(3))
		require.NoError(t, soon(t, waiting))
	}

	o.failNext("ibv_get_cq_event", unix.EIO)
	err := ch.Wait(ctx)
	require.ErrorIs(t, err, unix.EIO)
	require.EqualError(t, err, "waiting for completions of fake0: input/output error")
}

func TestWaitCancelled(t *testing.T) {
	o := open(t)
	ch, cq, qp := channel(t, o)

	gone, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, cq.Arm(false))
	require.NoError(t, qp.PostMarker(1))
	o.take()
	require.ErrorIs(t, ch.Wait(gone), context.Canceled)
	require.Empty(t, o.take(), "the event is for the next wait")
	require.NoError(t, ch.Wait(t.Context()))

	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		waiting := later(func() error { return ch.Wait(ctx) })
		parkedIn(t, "ibv.(*Channel).Wait")
		cancel()
		require.ErrorIs(t, soon(t, waiting), context.Canceled)

		ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
		require.ErrorIs(t, ch.Wait(ctx), context.DeadlineExceeded)
		cancel()

		// The next wait is not affected.
		next := later(func() error { return ch.Wait(t.Context()) })
		parkedIn(t, "ibv.(*Channel).Wait")
		require.Empty(t, next)
		require.NoError(t, cq.Arm(false))
		require.NoError(t, qp.PostMarker(1))
		require.NoError(t, soon(t, next))
	}
}

// Whether cancelled or woken, no wait leaves something to hit the next one.
func TestWaitRaces(t *testing.T) {
	o := open(t)
	ch, cq, qp := channel(t, o)
	for range 2000 {
		require.NoError(t, cq.Arm(false))
		ctx, cancel := context.WithCancel(t.Context())
		waiting := later(func() error { return ch.Wait(ctx) })
		cancelled := later(func() bool { cancel(); return true })
		require.NoError(t, qp.PostMarker(1))
		soon(t, cancelled)
		if err := soon(t, waiting); err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, ch.Wait(t.Context()), "the event is still there")
		}
		require.Contains(t, o.take(), "ack_cq_events 1\n", "it was not the event that ended the wait")
		var wc [1]WC
		_, err := cq.Poll(wc[:], 0)
		require.NoError(t, err)
	}
	buf := make([]byte, 1<<20)
	require.Eventually(t, func() bool {
		return !strings.Contains(string(buf[:runtime.Stack(buf, true)]), "ibv.(*notifier)")
	}, time.Minute, time.Millisecond, "a goroutine was left behind")
}

// A context that ends just when the event has come does not hit the next wait.
func TestWaitCancelledLate(t *testing.T) {
	o := open(t)
	ch, _, _ := channel(t, o)
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, ch.events.wait(ctx, func() syscall.Errno { cancel(); return 0 }))
		tried := false
		require.NoError(t, ch.events.wait(t.Context(), func() syscall.Errno { tried = true; return 0 }))
		require.True(t, tried)
	}
}

// Close of a channel ends Wait at once; the channel itself lives as long as the
// library needs it.
func TestWaitClosed(t *testing.T) {
	o := open(t)
	ch, cq, _ := channel(t, o)
	waiting := later(func() error { return ch.Wait(t.Context()) })
	parkedIn(t, "ibv.(*Channel).Wait")
	require.NoError(t, ch.Close())
	require.ErrorIs(t, soon(t, waiting), os.ErrClosed)
	require.ErrorIs(t, ch.Wait(t.Context()), os.ErrClosed)
	require.NoError(t, ch.Close(), "closing twice")
	require.Empty(t, o.take())
	_, err := o.context.NewCQ(1, ch)
	require.ErrorIs(t, err, os.ErrClosed)
	require.NoError(t, cq.Arm(false), "the queue is still of use")

	// A queue that could not be made does not keep the channel.
	other, err := o.context.NewChannel()
	require.NoError(t, err)
	o.failNext("ibv_create_cq", unix.EIO)
	_, err = o.context.NewCQ(1, other)
	require.Error(t, err)
	o.failNext("", 0)
	o.take()
	require.NoError(t, other.Close())
	require.Equal(t, "destroy_comp_channel\n", o.take())
}

// An interrupt ends one wait, this or the next.
func TestInterrupt(t *testing.T) {
	o := open(t)
	ch, cq, qp := channel(t, o)
	for range 3 {
		waiting := later(func() error { return ch.Wait(t.Context()) })
		parkedIn(t, "ibv.(*Channel).Wait")
		ch.Interrupt()
		require.NoError(t, soon(t, waiting))
		ch.Interrupt()
		ch.Interrupt()
		require.NoError(t, ch.Wait(t.Context()))

		ch.Interrupt()
		ch.Resume()
		waiting = later(func() error { return ch.Wait(t.Context()) })
		parkedIn(t, "ibv.(*Channel).Wait")
		require.Empty(t, waiting)
		require.NoError(t, cq.Arm(false))
		require.NoError(t, qp.PostMarker(1))
		require.NoError(t, soon(t, waiting))
	}
}

// None is lost to a wait that ends at the same time because its context did.
func TestInterruptRaces(t *testing.T) {
	o := open(t)
	ch, _, _ := channel(t, o)
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		require.NoError(t, ch.events.wait(ctx, func() syscall.Errno { cancel(); ch.Interrupt(); return 0 }))
		require.NoError(t, soon(t, later(func() error { return ch.Wait(t.Context()) })), "the interrupt is still there")
	}
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		waiting := later(func() error { return ch.Wait(ctx) })
		cancelled := later(func() bool { cancel(); return true })
		ch.Interrupt()
		soon(t, cancelled)
		if err := soon(t, waiting); err != nil {
			require.ErrorIs(t, err, context.Canceled)
			require.NoError(t, soon(t, later(func() error { return ch.Wait(t.Context()) })), "the interrupt is still there")
		}
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, ch.Wait(short), context.DeadlineExceeded, "an interrupt is left over")
}

// boundContext never ends, and counts those who wait for that.
type boundContext struct {
	context.Context
	done  chan struct{}
	bound atomic.Int32
}

func (c *boundContext) Done() <-chan struct{} { return c.done }

func (c *boundContext) AfterFunc(func()) (stop func() bool) {
	c.bound.Add(1)
	return func() bool {
		c.bound.Add(-1)
		return true
	}
}

// A context outlives many channels: none leaves anything with it.
func TestWaitLetsGoOfItsContext(t *testing.T) {
	o := open(t)
	ch, cq, qp := channel(t, o)
	ctx := &boundContext{Context: t.Context(), done: make(chan struct{})}
	for range 3 {
		require.NoError(t, cq.Arm(false))
		require.NoError(t, qp.PostMarker(1))
		require.NoError(t, ch.Wait(ctx))
		require.EqualValues(t, 1, ctx.bound.Load(), "bound once")
	}
	require.NoError(t, ch.Close())
	require.Zero(t, ctx.bound.Load())
	require.ErrorIs(t, ch.Wait(ctx), os.ErrClosed)
	require.Zero(t, ctx.bound.Load())
}
