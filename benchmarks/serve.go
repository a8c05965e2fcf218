package benchmarks

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// ServeConfig describes the peer for measurements from another machine.
type ServeConfig struct {
	Listen    string // TCP address, host:port
	Transport string // URL of the device to be measured
	// OnNote, if set, gets what happens, a sentence each: first the address.
	OnNote func(string)

	patience time.Duration // for tests: host.patience
}

// defaultPatience is ample for a session that only has to clear up.
const defaultPatience = 5 * time.Second

// Serve is the peer for measurements from other machines (Config.Connect), one
// after the other, until the context ends; then it returns nil. Whoever reaches
// the port can keep a core and the device busy: it is for networks that are
// trusted.
func Serve(ctx context.Context, c ServeConfig) error {
	d, err := transport.Open(c.Transport)
	if err != nil {
		return err
	}
	name, crossHost := d.Name(), d.Capabilities().Features.Has(transport.FeatureCrossHost)
	d.Close() // each measurement opens its own
	if !crossHost {
		return flagErrorf("--listen: %s connects processes of one machine only, for which no --listen is needed; choose another --transport", name)
	}
	listen := net.ListenConfig{KeepAliveConfig: keepAlive}
	listener, err := listen.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return flagErrorf("--listen: %w", err)
	}
	defer listener.Close()
	note := c.OnNote
	if note == nil {
		note = func(string) {}
	}
	note(fmt.Sprintf("waiting on %s with %s; on the other machine: --connect", listener.Addr(), name))
	h := &host{listener: listener, transport: c.Transport, note: note, patience: cmp.Or(c.patience, defaultPatience)}
	if err := h.serve(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

// host is the peer's side of a listener: control streams begin sessions, one at
// a time; other streams belong to the session under way.
type host struct {
	listener  net.Listener
	admission key           // what a control stream has to show
	transport string        // URL of the device; "" to take the one of the params
	files     []*os.File    // what was inherited
	once      bool          // ends after one session
	patience  time.Duration // how long a session waits for the one before it to end
	note      func(string)

	turn chan struct{} // holds one token, which the session under way has

	mu      sync.Mutex
	session *session // under way, or nil
}

// hostOnce is a peer for one session on this machine.
func hostOnce(listener net.Listener, admission key, files []*os.File) *host {
	return &host{listener: listener, admission: admission, files: files, once: true, patience: defaultPatience, note: func(string) {}}
}

// errServed ends a host that was to serve once.
var errServed = errors.New("the session is over")

// serve hosts sessions until the context ends, the listener fails or, with
// once, the first session is over; then it returns how that ended.
func (h *host) serve(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { h.listener.Close() })
	defer stop()
	h.turn = make(chan struct{}, 1)
	h.turn <- struct{}{}
	var streams sync.WaitGroup
	defer streams.Wait()
	for {
		conn, err := h.listener.Accept()
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			} else if passing(err) {
				select {
				case <-time.After(acceptPause):
				case <-ctx.Done():
				}
				continue
			}
			cancel(err)
			if errors.Is(err, errServed) {
				return nil
			}
			return err
		}
		streams.Go(func() { h.take(ctx, cancel, conn) })
	}
}

// acceptPause gives others time to end when there is no room for a stream.
const acceptPause = 10 * time.Millisecond

// passing says whether accepting may succeed later: too many files are open, or a stream
// ended before it was taken.
func passing(err error) bool {
	for _, e := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// take looks at a new stream and gives it to whom it belongs.
func (h *host) take(ctx context.Context, end context.CancelCauseFunc, conn net.Conn) {
	kind, k, err := readPreface(conn)
	switch {
	case err == nil && kind == testStream && h.handOver(conn, k):
	case err == nil && kind == controlStream && k == h.admission:
		if err := h.open(ctx, conn); h.once {
			if err == nil {
				err = errServed
			}
			end(err)
		}
	default:
		conn.Close()
	}
}

// handOver gives a stream to the session under way, if it has its key.
func (h *host) handOver(conn net.Conn, k key) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.session == nil || h.session.key != k {
		return false
	}
	select {
	case h.session.streams <- conn:
		return true
	default: // more than any test opens
		return false
	}
}

// open runs a session on its control stream, after the one before it.
func (h *host) open(ctx context.Context, conn net.Conn) error {
	select {
	case <-h.turn:
		defer func() { h.turn <- struct{}{} }()
	case <-time.After(h.patience):
		conn.Write(encodeMessage(message{Kind: messageError, Text: "busy with another measurement; try again later"}))
		return conn.Close()
	case <-ctx.Done():
		conn.Close()
		return context.Cause(ctx)
	}
	s := &session{key: newKey(), streams: make(chan net.Conn, maxStreams), files: h.files}
	h.set(s)
	err := s.attend(ctx, conn, h.transport)
	h.set(nil)
	s.closeStreams()
	if err != nil {
		h.note("a measurement for " + conn.RemoteAddr().String() + " failed: " + err.Error())
	}
	return err
}

func (h *host) set(s *session) {
	h.mu.Lock()
	h.session = s
	h.mu.Unlock()
}
