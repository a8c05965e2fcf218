package transport_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

// letters is an Exchanger by channels. before, if set, is called in each exchange.
type letters struct {
	to, from chan []byte
	done     <-chan struct{} // ends an exchange that waits
	before   func(exchange int) error
	count    int
}

// newLetters makes two ends, whose exchanges end with the test.
func newLetters(t *testing.T) (a, b *letters) {
	ab, ba := make(chan []byte, 1), make(chan []byte, 1)
	return &letters{to: ab, from: ba, done: t.Context().Done()}, &letters{to: ba, from: ab, done: t.Context().Done()}
}

var errNoLetter = errors.New("no letter came")

func (l *letters) Exchange(msg []byte, fds []int) ([]byte, []int, error) {
	l.count++
	if l.before != nil {
		if err := l.before(l.count); err != nil {
			return nil, nil, err
		}
	}
	l.to <- slices.Clone(msg)
	select {
	case answer := <-l.from:
		return answer, nil, nil
	case <-l.done:
		return nil, nil, errNoLetter
	}
}

func (l *letters) PassesFDs() bool { return false }

// joinEnds joins two ends.
func joinEnds(t *testing.T, a, b *pairtest.End, ca, cb transport.ConnConfig) {
	t.Helper()
	la, lb := newLetters(t)
	var errB error
	joined := make(chan struct{})
	go func() {
		defer close(joined)
		b.Conn, errB = b.Dev.Join(context.Background(), lb, cb)
	}()
	var errA error
	a.Conn, errA = a.Dev.Join(t.Context(), la, ca)
	<-joined
	require.NoError(t, errA)
	require.NoError(t, errB)
}

// TestJoin: a connection without a stream carries what others do. Decorators are
// in package trace's tests.
func TestJoin(t *testing.T) {
	t.Parallel()
	a, b := newEnds(t)
	joinEnds(t, a, b, a.Config(), b.Config())
	require.Equal(t, transport.Peer{}, a.Conn.Peer())
	require.Same(t, a.Dev, a.Conn.Device())
	require.Equal(t, uint32(1), a.Conn.ID())
	require.Equal(t, 64, a.Conn.InlineBytes())
	require.Contains(t, a.Dev.Inventory()[0], "connection 1 to peer, made at ")
	require.Contains(t, a.Dev.Inventory()[0], "/join_test.go:")

	from, to := a.Alloc(64, transport.LocalOnly), b.Alloc(64, transport.RemoteWrite)
	copy(from.Bytes(), "by send")
	copy(from.Bytes()[32:], "by write")
	b.Recv(transport.Recv(1, to.Span(0, 32)))
	a.Post(
		transport.Write(2, from.Span(32, 32), to.Remote(32, 32)),
		transport.Send(3, from.Span(0, 7)).With(transport.Signaled),
	)
	require.Equal(t, []uint64{1}, pairtest.IDs(b.Take(1)))
	require.Equal(t, []uint64{3}, pairtest.IDs(a.Take(1)))
	require.Equal(t, "by send", string(to.Bytes()[:7]))
	require.Equal(t, "by write", string(to.Bytes()[32:40]))
}

// TestJoinedClose: closing is not told to the peer, and frees what the connection
// had.
func TestJoinedClose(t *testing.T) {
	t.Parallel()
	a, b := newEnds(t)
	ca := a.Config()
	ca.SendDepth = pairtest.QueueDepth - ca.RecvDepth // all there is
	joinEnds(t, a, b, ca, b.Config())
	mem := a.Alloc(8, transport.LocalOnly)
	a.Recv(transport.Recv(1, mem.Span(0, 8)))
	require.NoError(t, a.Conn.Err())
	require.NoError(t, a.Conn.Close())
	require.NoError(t, a.Conn.Close())
	require.ErrorIs(t, a.Ended(), transport.ErrClosed)
	require.Len(t, a.Dev.Inventory(), 3, "a domain, a queue and a region")
	_, err := a.Conn.Post(transport.Send(2, mem.Span(0, 8)))
	require.ErrorIs(t, err, transport.ErrClosed)

	require.NoError(t, b.Conn.Err(), "the peer is not told")
	b.Post(transport.Send(3, transport.Span{}).With(transport.Signaled))
	b.Nothing()
	require.NoError(t, b.Conn.Close())
	require.Equal(t, transport.StatusFlushed, b.Take(1)[0].Status)

	flushed := a.Take(1)[0] // with it the last of the reserved completions is free
	require.Equal(t, transport.StatusFlushed, flushed.Status)
	c := pairtest.NewEnd(t, "loopback:")
	joinEnds(t, a, c, ca, c.Config())
	require.NoError(t, a.Dev.Close(), "it closes its connections")
	require.ErrorIs(t, a.Conn.Err(), transport.ErrClosed)
}

// TestJoinedFailure: the failure of a request ends both ends, as the provider
// notices it.
func TestJoinedFailure(t *testing.T) {
	t.Parallel()
	a, b := newEnds(t)
	joinEnds(t, a, b, a.Config(), b.Config())
	from, to := a.Alloc(8, transport.LocalOnly), b.Alloc(8, transport.RemoteRead)
	a.Post(transport.Write(1, from.Span(0, 8), to.Remote(0, 8)))
	require.Equal(t, transport.StatusRemoteAccess, a.Take(1)[0].Status)
	require.ErrorContains(t, a.Ended(), "remote access error")
	require.ErrorContains(t, a.Ended(), "connection 1 to peer: ")
	require.ErrorContains(t, b.Ended(), "remote access error")
}

// TestJoinInvalid: what is refused before anything is exchanged.
func TestJoinInvalid(t *testing.T) {
	t.Parallel()
	a := pairtest.NewEnd(t, "loopback:")
	x, _ := newLetters(t)
	x.before = func(int) error { return errNoLetter }
	try := func(x transport.Exchanger, change func(cfg *transport.ConnConfig)) error {
		cfg := a.Config()
		change(&cfg)
		_, err := a.Dev.Join(t.Context(), x, cfg)
		return err
	}
	same := func(*transport.ConnConfig) {}
	for text, err := range map[string]error{
		"Join needs an Exchanger":                    try(nil, same),
		"PrivateData and Authorize belong":           try(x, func(cfg *transport.ConnConfig) { cfg.PrivateData = []byte("x") }),
		"leave both to the Exchanger":                try(x, func(cfg *transport.ConnConfig) { cfg.Authorize = refuse }),
		"ConnConfig needs Domain, SendQueue and Rec": try(x, func(cfg *transport.ConnConfig) { cfg.Domain = nil }),
	} {
		require.ErrorIs(t, err, transport.ErrInvalid)
		require.ErrorContains(t, err, "transport: loopback: join: invalid: ")
		require.ErrorContains(t, err, text)
	}
	require.ErrorIs(t, try(x, func(cfg *transport.ConnConfig) { cfg.SendDepth = pairtest.QueueDepth }), transport.ErrOutOfRange)

	dev := transport.NewDevice("limited", limited{loopback.New(), func(caps *transport.Capabilities) { caps.Features |= transport.FeatureUnixSocket }})
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	_, err := dev.Join(t.Context(), x, pairtest.NewEndOn(t, dev).Config())
	require.ErrorIs(t, err, transport.ErrNotSupported)
	require.ErrorContains(t, err, "use Dial and Listen")

	require.Zero(t, x.count)
	require.NoError(t, a.Dev.Close())
	require.ErrorIs(t, try(x, same), transport.ErrClosed)
}

// TestJoinFails: nothing is left of a connection whose set-up failed, whenever it
// did.
func TestJoinFails(t *testing.T) {
	t.Parallel()
	errLost := errors.New("the letter got lost")
	for name, test := range map[string]struct {
		exchange int // in which it happens
		happens  func(a *pairtest.End, cancel func()) error
		text     string
		is       error
	}{
		"the first exchange":         {1, func(*pairtest.End, func()) error { return errLost }, "join: the letter got lost", errLost},
		"the last exchange":          {2, func(*pairtest.End, func()) error { return errLost }, "join: the letter got lost", errLost},
		"cancelled":                  {1, func(_ *pairtest.End, cancel func()) error { cancel(); return nil }, "connection set-up: context canceled", context.Canceled},
		"cancelled when it was done": {2, func(_ *pairtest.End, cancel func()) error { cancel(); return nil }, "connection set-up: context canceled", context.Canceled},
		"cancelled, and failed":      {2, func(_ *pairtest.End, cancel func()) error { cancel(); return errLost }, "connection set-up: context canceled", context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := newEnds(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			la, lb := newLetters(t)
			la.before = func(exchange int) error {
				if exchange == test.exchange {
					return test.happens(a, cancel)
				}
				return nil
			}
			ended := make(chan struct{})
			stop := make(chan struct{})
			lb.done = stop
			go func() {
				defer close(ended)
				b.Dev.Join(context.Background(), lb, b.Config())
			}()
			cfg := a.Config()
			cfg.SendDepth = pairtest.QueueDepth - cfg.RecvDepth // all there is
			conn, err := a.Dev.Join(ctx, la, cfg)
			close(stop)
			<-ended
			require.Nil(t, conn)
			require.ErrorIs(t, err, test.is)
			require.ErrorContains(t, err, test.text)
			var op *transport.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, transport.ScopeConnection, op.Scope)
			require.Len(t, a.Dev.Inventory(), 2, "no connection is left")
			c := pairtest.NewEnd(t, "loopback:")
			joinEnds(t, a, c, cfg, c.Config())
		})
	}
}

// TestJoinDeviceClosed: Device.Close ends the context of a set-up under way, waits
// for its exchange, and then there is no connection.
func TestJoinDeviceClosed(t *testing.T) {
	t.Parallel()
	gone := make(chan error, 1)
	dev := transport.NewDevice("watched", watched{loopback.New(), func(ctx context.Context) { <-ctx.Done(); gone <- context.Cause(ctx) }})
	a := pairtest.NewEndOn(t, dev)
	la, _ := newLetters(t)
	closed := make(chan error, 1)
	la.before = func(int) error {
		go func() { closed <- dev.Close() }()
		require.ErrorIs(t, <-gone, transport.ErrClosed, "the provider is told by its context")
		select {
		case <-closed:
			return errors.New("the device closed in the middle of an exchange")
		default:
		}
		return errNoLetter
	}
	_, err := dev.Join(t.Context(), la, a.Config())
	require.ErrorIs(t, err, transport.ErrClosed)
	require.NoError(t, <-closed)
	require.Empty(t, dev.Inventory())
}

// watched is an adapter whose queue pairs have the context of their set-up watched.
type watched struct {
	transport.Adapter
	watch func(ctx context.Context)
}

type watchedQP struct {
	transport.QP
	watch func(ctx context.Context)
}

func (w watched) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	qp, err := w.Adapter.NewQP(cfg)
	return watchedQP{qp, w.watch}, err
}

func (q watchedQP) Connect(ctx context.Context, x transport.Exchanger) error {
	go q.watch(ctx)
	return q.QP.Connect(ctx, x)
}

// TestJoinedControl: what a queue pair has to tell its peer's is dropped, at any
// time, and its descriptors stay its own.
func TestJoinedControl(t *testing.T) {
	t.Parallel()
	fd, err := unix.MemfdCreate("passed", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	file := transport.NewFile(fd)
	defer file.Release()
	var said atomic.Int32
	talk := func(c transport.Control) {
		c.Send([]byte("hello"), file)
		c.Send(nil, nil)
		_, breaks := c.(transport.Breaker)
		assert.False(t, breaks, "there is no stream to break")
		said.Add(1)
	}
	newEnd := func() *pairtest.End {
		dev := transport.NewDevice("talkative", talkative{loopback.New(), talk})
		t.Cleanup(func() { require.NoError(t, dev.Close()) })
		return pairtest.NewEndOn(t, dev)
	}
	a, b := newEnd(), newEnd()
	joinEnds(t, a, b, a.Config(), b.Config())
	require.NoError(t, a.Conn.Close())
	require.NoError(t, b.Conn.Close())
	require.Equal(t, int32(6), said.Load(), "at each end in NewQP, Connect and Close")
	_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	require.NoError(t, err, "the file is still open")
}

// talkative is an adapter whose queue pairs use their Control whenever they can.
type talkative struct {
	transport.Adapter
	talk func(transport.Control)
}

type talkativeQP struct {
	transport.QP
	talk func()
}

func (a talkative) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	talk := func() { a.talk(cfg.Control) }
	talk()
	qp, err := a.Adapter.NewQP(cfg)
	return talkativeQP{qp, talk}, err
}

func (q talkativeQP) Connect(ctx context.Context, x transport.Exchanger) error {
	q.talk()
	return q.QP.Connect(ctx, x)
}

func (q talkativeQP) Close() error { q.talk(); return q.QP.Close() }

// TestJoinLeavesNothing joins and closes many times: no goroutine and no
// descriptor stays. It is not parallel, so that nobody else makes any.
func TestJoinLeavesNothing(t *testing.T) {
	a, b := newEnds(t)
	once := func() {
		joinEnds(t, a, b, a.Config(), b.Config())
		require.NoError(t, a.Conn.Close())
		require.NoError(t, b.Conn.Close())
	}
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(entries)
	}
	once()
	goroutines, files, objects := runtime.NumGoroutine(), descriptors(), len(a.Dev.Inventory())
	for range 100 {
		once()
	}
	// Each join's own helper of the test has ended, but maybe not to its last
	// instruction.
	require.LessOrEqual(t, runtime.NumGoroutine(), goroutines+5)
	require.Equal(t, files, descriptors())
	require.Len(t, a.Dev.Inventory(), objects)
}
