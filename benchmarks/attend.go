package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"

	"github.com/rfaas-go/rfaas/transport"
)

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
