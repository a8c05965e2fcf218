package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"time"

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

// outcome is what a measured phase took.
type outcome struct {
	ns          int64
	allocations uint64            // of both processes
	counters    map[string]uint64 // increases; nil if the provider has none
}

// conduct is the measuring side's part, from the set-up on: warm-up, then the
// measured phase. It runs on the pinned thread. s.control is nil without a peer.
func (s *session) conduct(ctx context.Context, out *samples) (o outcome, err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	run, err := s.test.measure(ctx, s)
	if err != nil {
		return o, s.explain(ctx, err)
	}
	if s.params.Warmup > 0 {
		if _, err := s.phase(ctx, run, s.params.Warmup, out); err != nil {
			return o, err
		}
	}
	out.reset()
	if o, err = s.phase(ctx, run, s.params.Iterations, out); err != nil {
		return o, err
	}
	if s.control != nil {
		err = s.control.send(message{Kind: messageEnd})
	}
	return o, err
}

// phase runs both sides for n operations.
func (s *session) phase(ctx context.Context, run loop, n int, out *samples) (o outcome, err error) {
	runtime.GC() // none should fall into the loop
	if s.control != nil {
		if _, err := s.control.ask(ctx, message{Kind: messageRun, Count: n}, messageRunning); err != nil {
			return o, s.explain(ctx, err)
		}
	}
	counters, before := s.counters(), allocations()
	start := clock()
	err = run(ctx, n, out)
	o.ns = clock() - start
	o.allocations = allocations() - before
	o.counters = increases(counters, s.counters())
	if err != nil || s.control == nil {
		return o, s.explain(ctx, err)
	}
	done, err := s.control.ask(ctx, message{Kind: messageFinish}, messageDone)
	if !s.peer.here { // otherwise they are in our own count
		o.allocations += done.Allocations
	}
	return o, s.explain(ctx, err)
}

// explainTimeout is how long explain waits for the peer's own words.
const explainTimeout = time.Second

// explain finds the reason of an error that may only be the consequence of what
// happened to the peer, or of the context's end.
func (s *session) explain(ctx context.Context, err error) error {
	if err == nil || s.control == nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(explainTimeout):
		return err
	}
}

// attend is the peer's part, from the beginning of the control stream to its
// end. rawURL is the device to use, "" for the one that the params name.
func (s *session) attend(ctx context.Context, conn net.Conn, rawURL string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.control = newControl(conn, cancel)
	defer s.control.close()
	err := s.prepare(ctx, rawURL)
	if err != nil {
		s.control.send(message{Kind: messageError, Text: err.Error()})
	}
	return err
}

// prepare learns what to do, and does it on a core of its own.
func (s *session) prepare(ctx context.Context, rawURL string) error {
	start, err := s.control.expect(ctx, messageStart)
	if err != nil {
		return err
	}
	if start.Params == nil {
		return errors.New("no parameters")
	}
	s.params = *start.Params
	t, err := find(s.params.Test)
	s.test = t
	if err == nil {
		err = t.check(s.params)
	}
	if err == nil && t.serve == nil {
		err = fmt.Errorf("%s has no peer", t.name)
	}
	if err == nil && (t.bare || t.needsFunctions()) && rawURL != "" { // asked for from another machine
		err = fmt.Errorf("%s measures one machine", t.name)
	}
	if err != nil {
		return err
	}
	core, err := s.peerCore()
	if err != nil {
		return err
	}
	if !t.bare {
		if rawURL == "" {
			rawURL = s.params.Transport
		}
		if s.device, err = transport.Open(rawURL); err != nil {
			return err
		}
		defer s.device.Close()
	}
	if err := s.control.send(message{Kind: messageHello, PID: os.Getpid(), Key: s.key}); err != nil {
		return err
	}
	return onCore(core, func() error { return s.obey(ctx) })
}

// obey sets the peer's side up and runs it as the measuring side says.
func (s *session) obey(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.close()) }()
	run, err := s.test.serve(ctx, s)
	if err != nil {
		return err
	}
	for {
		m, err := s.control.expect(ctx, messageRun, messageEnd)
		if err != nil || m.Kind == messageEnd {
			return err
		}
		if m.Count < 1 || m.Count > maxIterations {
			return fmt.Errorf("run of %d operations", m.Count)
		}
		runtime.GC()
		running := encodeMessage(message{Kind: messageRunning})
		before := allocations()
		if _, err := s.control.conn.Write(running); err != nil {
			return err
		}
		if err := run(ctx, m.Count, nil); err != nil {
			return err
		}
		done := message{Kind: messageDone, Allocations: allocations() - before}
		if _, err := s.control.expect(ctx, messageFinish); err != nil {
			return err
		}
		if err := s.control.send(done); err != nil {
			return err
		}
	}
}

// peerCore is the core for the peer: what the measuring side chose, or on
// another machine the peer itself.
func (s *session) peerCore() (int, error) {
	numbers, err := allowedCPUs()
	if err != nil || s.params.PeerCPU != anyCPU {
		return s.params.PeerCPU, err
	}
	_, core, _ := choosePair(readTopology(os.DirFS("/sys"), numbers))
	return core, nil
}
