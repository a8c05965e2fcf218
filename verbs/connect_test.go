package verbs_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// heldStream holds back what says that the peer is ready until it is released.
type heldStream struct {
	net.Conn
	release <-chan struct{}
}

func (s heldStream) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if bytes.Contains(b[:n], []byte("ready")) {
		<-s.release
	}
	return n, err
}

// A peer that is ready sooner can send what fails the connection before this end can
// send. It was made all the same, and says how it ended.
func TestPeerIsReadySooner(t *testing.T) {
	a, b := pairtest.NewEnd(t, device(t)), pairtest.NewEnd(t, device(t))
	sa, sb := net.Pipe()
	release := make(chan struct{})
	received := make(chan error, 1)
	go func() {
		r, err := transport.Receive(t.Context(), heldStream{sa, release})
		if err == nil {
			a.Conn, err = r.Accept(t.Context(), a.Config())
		}
		received <- err
	}()
	var err error
	b.Conn, err = b.Dev.Connect(t.Context(), sb, b.Config())
	require.NoError(t, err)
	memory := b.Alloc(64, transport.LocalOnly)
	b.Post(transport.Write(1, memory.Span(0, 64), transport.RemoteSpan{Addr: 8, Len: 64, Key: 1}).With(transport.Signaled))
	require.Equal(t, transport.StatusRemoteAccess, b.Take(1)[0].Status)
	close(release)
	require.NoError(t, <-received)
	require.Error(t, a.Ended())
}
