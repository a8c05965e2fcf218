package transport_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// dialing has a dial to a listener under way, and the listener's request.
func dialing(t *testing.T, a *pairtest.End, network, address string) (r *transport.Request, dialed <-chan error) {
	t.Helper()
	l, err := transport.Listen(network, address)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	done := make(chan error, 1)
	cfg := a.Config()
	cfg.PrivateData = []byte("it is me")
	go func() {
		_, err := a.Dev.Dial(context.Background(), network, l.Addr().String(), cfg)
		done <- err
	}()
	r, err = l.Accept(t.Context())
	require.NoError(t, err)
	return r, done
}

// pass is a stream's descriptor in another process: here, in another net.Conn.
func pass(t *testing.T, stream net.Conn) net.Conn {
	t.Helper()
	f, err := stream.(interface{ File() (*os.File, error) }).File()
	require.NoError(t, err)
	passed, err := net.FileConn(f)
	require.NoError(t, errors.Join(err, f.Close(), stream.Close()))
	return passed
}

// A request is read by one who has no device, and another one goes on with it.
func TestDetachAndAdopt(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": "@" + t.Name()} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			a, b := newEnds(t)
			r, dialed := dialing(t, a, network, address)
			require.Equal(t, "loopback/1", r.Peer().Wire)
			stream, hello, err := r.Detach()
			require.NoError(t, err)
			_, err = r.Accept(t.Context(), b.Config())
			require.ErrorIs(t, err, transport.ErrInvalid)
			require.ErrorIs(t, r.Reject(transport.Rejection{}), transport.ErrInvalid)
			_, _, err = r.Detach()
			require.ErrorIs(t, err, transport.ErrInvalid)

			adopted, err := transport.Adopt(pass(t, stream), hello)
			require.NoError(t, err)
			require.Equal(t, r.Peer().Credentials, adopted.Peer().Credentials)
			require.Equal(t, "it is me", string(adopted.Peer().PrivateData))
			conn, err := adopted.Accept(t.Context(), b.Config())
			require.NoError(t, err)
			require.NoError(t, <-dialed)
			require.NoError(t, conn.Err())
		})
	}
}

// Who adopts may refuse, and a hello that is none is refused for it.
func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	a := pairtest.NewEnd(t, "loopback:")
	r, dialed := dialing(t, a, "tcp", "127.0.0.1:0")
	stream, hello, err := r.Detach()
	require.NoError(t, err)
	adopted, err := transport.Adopt(pass(t, stream), hello)
	require.NoError(t, err)
	require.NoError(t, adopted.Reject(transport.Rejection{Code: 5}))
	told := (*transport.RejectedError)(nil)
	require.ErrorAs(t, <-dialed, &told)
	require.EqualValues(t, 5, told.Code)

	r, dialed = dialing(t, a, "tcp", "127.0.0.1:0")
	stream, hello, err = r.Detach()
	require.NoError(t, err)
	_, err = transport.Adopt(pass(t, stream), hello[:len(hello)-1])
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.ErrorIs(t, <-dialed, transport.ErrRejected)
}

// What a peer sends before it was answered would be lost: it is refused.
func TestDetachWithMore(t *testing.T) {
	t.Parallel()
	hello := "\x00\x00\x00\x1c\x01\x00\x00\x00rfaas\x02\x0aloopback/1\x08loopback\x00\x00"
	descriptor, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { descriptor.Close() })
	for what, send := range map[string]func(c *net.UnixConn){
		"1 bytes and 0 descriptors": func(c *net.UnixConn) { c.Write([]byte(hello + "x")) },
		"1 bytes and 1 descriptors": func(c *net.UnixConn) {
			c.WriteMsgUnix([]byte(hello+"x"), unix.UnixRights(int(descriptor.Fd())), nil)
		},
		"0 bytes and 1 descriptors": func(c *net.UnixConn) {
			c.WriteMsgUnix([]byte(hello), unix.UnixRights(int(descriptor.Fd())), nil)
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			far, near := dialed(t, "unix", "@"+t.Name())
			defer far.Close()
			send(far.(*net.UnixConn))
			r, err := transport.Receive(t.Context(), near)
			require.NoError(t, err)
			_, _, err = r.Detach()
			require.ErrorIs(t, err, transport.ErrInvalid)
			require.ErrorContains(t, err, "the peer sent "+what)
			require.NoError(t, far.SetReadDeadline(time.Now().Add(pairtest.Patience)))
			answer := make([]byte, 200)
			n, err := far.Read(answer)
			require.NoError(t, err)
			require.Contains(t, string(answer[:n]), "before it was answered")
		})
	}
}
