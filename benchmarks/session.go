package benchmarks

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

// session is one measurement, as one of its two sides sees it. Tests set their
// sides up with it.
type session struct {
	test   *test
	params params
	// device is what is measured; nil in bare tests. The session closes it, and
	// with it everything made from it.
	device *transport.Device
	// files are what test.inherit made.
	files []*os.File

	control *control
	key     key           // admits the session's streams
	streams chan net.Conn // peer: as they arrive
	peer    *peer         // measuring side: whom to dial

	cleanups []func() error
}

// maxStreams is how many streams a session may have waiting.
const maxStreams = 64

// leads reports whether this is the measuring side of a test with a peer.
func (s *session) leads() bool { return s.peer != nil }

// cleanup has f called when the session is over: what was set up last, first.
func (s *session) cleanup(f func() error) { s.cleanups = append(s.cleanups, f) }

func (s *session) close() error {
	var errs []error
	for _, f := range slices.Backward(s.cleanups) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}

// dial opens a stream to the peer, which gets it from accept. Measuring side.
func (s *session) dial(ctx context.Context) (net.Conn, error) {
	return dialStream(ctx, s.peer.network, s.peer.address, testStream, s.key)
}

// accept is the next stream that the measuring side dialed. Peer.
func (s *session) accept(ctx context.Context) (net.Conn, error) {
	select {
	case conn := <-s.streams:
		return conn, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// request is the next connection that the measuring side asks for. Peer.
func (s *session) request(ctx context.Context) (*transport.Request, error) {
	stream, err := s.accept(ctx)
	if err != nil {
		return nil, err
	}
	return transport.Receive(ctx, stream)
}

// stream is a stream between the two sides, which both ask for.
func (s *session) stream(ctx context.Context) (net.Conn, error) {
	if s.leads() {
		return s.dial(ctx)
	}
	return s.accept(ctx)
}

// closeStreams drops streams that no test took.
func (s *session) closeStreams() {
	for {
		select {
		case conn := <-s.streams:
			conn.Close()
		default:
			return
		}
	}
}

// allocations counts the objects that this process ever allocated on the heap.
func allocations() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
