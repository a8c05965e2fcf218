package remote_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/remote"
)

// reachGated is reach with a gate on the way back. peer is the owner's end.
func reachGated(t *testing.T, url string, size int, cfg remote.Config) (m *remote.Memory, o *owner, g *gate, peer *transport.Conn) {
	o = newOwner(t, url, size, transport.RemoteAll)
	dev, g := openGated(t, url)
	m, peer = o.connect(t, dev, cfg)
	return m, o, g, peer
}

// receive takes an element that will come.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-soon(t).Done():
		t.Fatal("nothing comes")
		panic("not reached")
	}
}

// A call whose context ends returns, and its slice is not touched afterwards. Its
// buffer is not used before the request is done.
func TestContextEnds(t *testing.T) {
	for _, url := range urls {
		m, o, g, _ := reachGated(t, url, 64, remote.Config{Buffers: 1})
		require.NoError(t, m.Write(soon(t), o.all(), []byte{1, 2, 3, 4, 5, 6, 7, 8}))
		stop := errors.New("enough")
		for what, call := range map[string]func(ctx context.Context, buf []byte) error{
			"read":  func(ctx context.Context, buf []byte) error { return m.Read(ctx, buf, o.all()) },
			"write": func(ctx context.Context, buf []byte) error { return m.Write(ctx, o.region.Remote(32, 8), buf) },
			"add": func(ctx context.Context, _ []byte) error {
				_, err := m.FetchAdd(ctx, o.region.Remote(40, 8), 1)
				return err
			},
		} {
			g.shut()
			ctx, cancel := context.WithCancelCause(soon(t))
			buf, failed := make([]byte, 8), make(chan error, 1)
			go func() { failed <- call(ctx, buf) }()
			receive(t, g.waits)
			cancel(stop)
			err := receive(t, failed)
			require.ErrorIs(t, err, stop, what)
			require.ErrorContains(t, err, "8 bytes at 0x", what)

			// The only buffer is the device's still.
			short, cancelShort := context.WithCancel(soon(t))
			go func() { failed <- call(short, buf) }()
			cancelShort()
			require.ErrorIs(t, receive(t, failed), context.Canceled, what)
			select {
			case err := <-failed:
				t.Fatal(err)
			default:
			}

			g.reopen()
			got := make([]byte, 8)
			require.NoError(t, m.Read(soon(t), got, o.all()), "the buffer is back")
			require.Equal(t, []byte{1, 2, 3, 4, 5, 6, 7, 8}, got)
			require.Equal(t, make([]byte, 8), buf, what)
		}
		require.NoError(t, m.Close())
		require.Zero(t, goroutines())
	}
}

// A context that has ended keeps a call from beginning.
func TestContextEnded(t *testing.T) {
	t.Parallel()
	m, o := reach(t, "loopback:", 8, remote.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, m.Write(ctx, o.all(), make([]byte, 8)), context.Canceled)
	_, err := m.FetchAdd(ctx, o.all(), 1)
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, o.region.Uint64(0).Load())
}

// A transfer in pieces whose context ends in the middle leaves all of them aside, and
// gets all of them back.
func TestContextEndsBetweenPieces(t *testing.T) {
	for _, url := range urls {
		const buffers = 3
		m, o, g, _ := reachGated(t, url, 1024, remote.Config{Buffers: buffers, BufferBytes: 64})
		g.shut()
		ctx, cancel := context.WithCancel(soon(t))
		failed := make(chan error, 1)
		go func() { failed <- m.Read(ctx, make([]byte, 1024), o.all()) }()
		receive(t, g.waits)
		cancel()
		require.ErrorIs(t, receive(t, failed), context.Canceled)
		g.reopen()
		require.NoError(t, m.Write(soon(t), o.all(), make([]byte, 1024)))

		g.shut() // now each of these needs a buffer of its own
		for i := range buffers {
			go func() { failed <- m.Write(soon(t), o.region.Remote(i*8, 8), []byte{1, 1, 1, 1, 1, 1, 1, 1}) }()
		}
		for i, waiting := 0, soon(t); i < buffers && waiting.Err() == nil; runtime.Gosched() {
			if o.region.Uint64(i*8).Load() != 0 {
				i++
			}
		}
		g.reopen()
		for range buffers {
			require.NoError(t, receive(t, failed))
		}
		require.NoError(t, m.Close())
		require.Zero(t, goroutines())
	}
}

// However a connection ends, calls that are under way and later ones say why.
func TestConnectionEnds(t *testing.T) {
	ends := map[string]struct {
		end func(m *remote.Memory, o *owner, peer *transport.Conn) error
		err error
	}{
		"the peer closes":         {func(_ *remote.Memory, _ *owner, peer *transport.Conn) error { return peer.Close() }, transport.ErrPeerClosed},
		"this end closes":         {func(m *remote.Memory, _ *owner, _ *transport.Conn) error { return m.Close() }, transport.ErrClosed},
		"this end's connection":   {func(m *remote.Memory, _ *owner, _ *transport.Conn) error { return m.Conn().Close() }, transport.ErrClosed},
		"this end's whole device": {func(m *remote.Memory, _ *owner, _ *transport.Conn) error { return m.Conn().Device().Close() }, transport.ErrClosed},
	}
	for _, url := range urls {
		for name, c := range ends {
			t.Run(url+" "+name, func(t *testing.T) {
				m, o, peer := reachEnding(t, url)
				const callers = 5
				var begun sync.WaitGroup
				errs := make(chan error, callers)
				begun.Add(callers)
				for range callers {
					go func() {
						buf := make([]byte, 256)
						err := m.Write(soon(t), o.all(), buf)
						begun.Done()
						for err == nil {
							err = m.Read(soon(t), buf, o.all())
						}
						errs <- err
					}()
				}
				begun.Wait()
				require.NoError(t, c.end(m, o, peer))
				for range callers {
					require.ErrorIs(t, receive(t, errs), c.err)
				}
				require.ErrorIs(t, m.Read(soon(t), make([]byte, 8), o.all()), c.err)
				_, err := m.CompareSwap(soon(t), o.all(), 0, 1)
				require.ErrorIs(t, err, c.err)
				require.NoError(t, m.Close())
				require.NoError(t, m.Close())
				require.Zero(t, goroutines())
				require.Empty(t, m.Conn().Device().Inventory())
			})
		}
	}
}

func reachEnding(t *testing.T, url string) (*remote.Memory, *owner, *transport.Conn) {
	o := newOwner(t, url, 256, transport.RemoteAll)
	dev, err := transport.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() { dev.Close() })
	m, peer := o.connect(t, dev, remote.Config{Buffers: 3, BufferBytes: 64})
	return m, o, peer
}

// The reason is that of the connection, even if the device is closed before a call
// hears of it.
func TestReasonOutlivesDevice(t *testing.T) {
	m, o, g, peer := reachGated(t, "loopback:", 64, remote.Config{})
	g.shut()
	failed := make(chan error, 1)
	go func() { failed <- m.Read(soon(t), make([]byte, 64), o.all()) }()
	receive(t, g.waits)
	require.NoError(t, peer.Close())
	<-m.Conn().Done()
	require.NoError(t, m.Conn().Device().Close())
	g.reopen()
	require.ErrorIs(t, receive(t, failed), transport.ErrPeerClosed)
	require.NoError(t, m.Close())
	require.Zero(t, goroutines())
}

// Calls that just copy may do so when the program closes the device.
func TestDeviceClosesUnderCopies(t *testing.T) {
	for _, url := range urls {
		const size, callers = 1 << 20, 4
		o := newOwner(t, url, size, transport.RemoteAll)
		dev, err := transport.Open(url)
		require.NoError(t, err)
		m, _ := o.connect(t, dev, remote.Config{Buffers: callers, BufferBytes: size})
		begun, errs := make(chan bool, callers), make(chan error, callers)
		for range callers {
			go func() {
				buf := make([]byte, size)
				err := m.Write(soon(t), o.all(), buf)
				for begun <- true; err == nil; {
					err = m.Write(soon(t), o.all(), buf)
				}
				errs <- err
			}()
		}
		for range callers {
			receive(t, begun)
		}
		require.NoError(t, dev.Close())
		for range callers {
			require.ErrorIs(t, receive(t, errs), transport.ErrClosed)
		}
		require.NoError(t, m.Close())
	}
}

// Close ends calls that would wait for long: for their requests, and for a buffer.
func TestCloseEndsCalls(t *testing.T) {
	for _, url := range urls {
		m, o, g, _ := reachGated(t, url, 64, remote.Config{Buffers: 1})
		g.shut()
		errs := make(chan error, 3)
		for range 3 {
			go func() { errs <- m.Write(soon(t), o.all(), make([]byte, 64)) }()
		}
		receive(t, g.waits)
		closed := make(chan error, 1)
		go func() { closed <- m.Close() }()
		<-m.Conn().Done()
		for range 2 { // those without a buffer
			require.ErrorIs(t, receive(t, errs), transport.ErrClosed)
		}
		g.reopen()
		if err := receive(t, errs); err != nil { // it was carried out, perhaps
			require.ErrorIs(t, err, transport.ErrClosed)
		}
		require.NoError(t, receive(t, closed))
		require.Zero(t, goroutines())
	}
}

// What the peer does not grant ends the connection, and says so; what is known to be
// wrong before does not.
func TestRefused(t *testing.T) {
	over(t, func(t *testing.T, url string) {
		o := newOwner(t, url, 64, transport.RemoteRead)
		dev, err := transport.Open(url)
		require.NoError(t, err)
		t.Cleanup(func() { dev.Close() })
		m, _ := o.connect(t, dev, remote.Config{})
		buf := make([]byte, 65)
		err = m.Read(soon(t), buf, o.all())
		require.ErrorIs(t, err, transport.ErrOutOfRange)
		require.ErrorContains(t, err, "read of 65 bytes at 0x")
		_, err = m.FetchAdd(soon(t), o.region.Remote(4, 8), 1)
		require.ErrorIs(t, err, transport.ErrInvalid)
		require.ErrorContains(t, err, "not 8-byte aligned")
		require.NoError(t, m.Read(soon(t), buf[:64], o.all()))

		err = m.Write(soon(t), o.all(), buf[:8])
		status, ok := errors.AsType[*transport.StatusError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, transport.StatusRemoteAccess, status.Status)
		require.ErrorContains(t, err, "write of 8 bytes at 0x")
		<-m.Conn().Done()
		err = m.Read(soon(t), buf[:8], o.all())
		require.ErrorIs(t, err, m.Conn().Err())
	})
}

// Memories come and go while the devices stay, and leave nothing of theirs.
func TestNothingIsLeft(t *testing.T) {
	for _, url := range urls {
		o := newOwner(t, url, 1000, transport.RemoteAll)
		dev, err := transport.Open(url)
		require.NoError(t, err)
		t.Cleanup(func() { dev.Close() })
		round := func() {
			m, peer := o.connect(t, dev, remote.Config{BufferBytes: 64})
			require.NoError(t, m.Write(soon(t), o.all(), make([]byte, 1000)))
			require.NoError(t, m.Close())
			<-peer.Done()
			require.NoError(t, peer.Close())
			require.Empty(t, dev.Inventory())
			require.Zero(t, goroutines())
		}
		round() // whatever is made once and kept
		before := descriptors(t)
		for range 5 {
			round()
		}
		for waiting := soon(t); descriptors(t) > before; runtime.Gosched() { // shm closes some behind our back
			require.NoError(t, waiting.Err(), "%s: %d descriptors are open, before it were %d", url, descriptors(t), before)
		}
	}
}

func descriptors(t *testing.T) int {
	open, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(open)
}
