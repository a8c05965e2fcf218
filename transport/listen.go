package transport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Dial connects to a Listener: network "unix" and a path (or "@name", which
// leaves nothing in the file system), or "tcp" and host:port. It is Connect
// over a stream that it opens.
func (d *Device) Dial(ctx context.Context, network, address string, cfg ConnConfig) (*Conn, error) {
	stream, err := DialStream(ctx, network, address)
	if err != nil {
		return nil, d.opError("dial "+network+" "+address, ScopeConnection, withoutAddress(err))
	}
	return d.Connect(ctx, stream, cfg)
}

// withoutAddress is an error of package net without the address, for where that is said
// already.
func withoutAddress(err error) error {
	if e, ok := err.(*net.OpError); ok {
		return e.Err
	}
	return err
}

// DialStream opens a stream for Device.Connect, within the context's time. If a Unix
// socket's backlog is full, where the kernel refuses at once, it tries again.
func DialStream(ctx context.Context, network, address string) (net.Conn, error) {
	const least, most = time.Millisecond, 50 * time.Millisecond
	var full error // the last time that it was
	timeUp := func() error {
		// The dialer may notice before the context does.
		return fmt.Errorf("%w: its backlog is full: %w", cmp.Or(context.Cause(ctx), context.DeadlineExceeded), full)
	}
	for pause := least; ; pause = min(2*pause, most) {
		stream, err := new(net.Dialer).DialContext(ctx, network, address)
		// The dialer's own deadline is the context's; it has two errors for that.
		late := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
		switch {
		case full != nil && err != nil && (late || ctx.Err() != nil):
			return nil, timeUp()
		case late:
			return nil, fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
		case !errors.Is(err, syscall.EAGAIN):
			return stream, err
		}
		full = err
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
			return nil, timeUp()
		}
	}
}

// requestTimeout bounds how long a Listener keeps a peer that is silent, or that the
// program does not accept.
const requestTimeout = 10 * time.Second

// Listener waits for peers that Dial. It belongs to no device: the program chooses,
// for each Request, the device that accepts it, or hands it to another process.
type Listener struct {
	listener net.Listener
	requests chan *Request
	pending  *pending
	life     context.Context // ends with Close
	end      context.CancelFunc
	once     sync.Once
	readers  sync.WaitGroup
}

// Listen waits for peers on a network and address as for Device.Dial.
func Listen(network, address string) (*Listener, error) {
	inner, err := net.Listen(network, address)
	if err != nil {
		return nil, &OpError{Op: "listen on " + network + " " + address, Scope: ScopeRequest, Err: withoutAddress(err)}
	}
	return Serve(inner), nil
}

// Serve makes a Listener of a net.Listener (with TLS, say), which belongs to it
// from then on.
func Serve(inner net.Listener) *Listener {
	life, end := context.WithCancel(context.Background())
	l := &Listener{listener: inner, requests: make(chan *Request), pending: newPending(mostPending()), life: life, end: end}
	l.readers.Add(1)
	go l.accept()
	return l
}

// accept takes streams and has their requests read concurrently, so that a
// silent one delays no other.
func (l *Listener) accept() {
	defer l.readers.Done()
	for {
		stream, err := l.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			select { // out of descriptors, most likely: give others time to end
			case <-time.After(10 * time.Millisecond):
			case <-l.life.Done():
				return
			}
			continue
		}
		ctx, cancel := context.WithCancelCause(l.life)
		w, err := l.pending.add(l.life, stream, cancel)
		if err != nil {
			cancel(nil)
			stream.Close()
			return
		}
		l.readers.Add(1)
		go func() {
			defer l.readers.Done()
			defer cancel(nil)
			defer l.pending.remove(w)
			l.receive(ctx, stream, w)
		}()
	}
}

func (l *Listener) receive(ctx context.Context, stream net.Conn, w *waiting) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := Receive(ctx, stream)
	if err != nil {
		return // the peer has its rejection; this end ignores it
	}
	l.pending.heard(w)
	select {
	case l.requests <- r:
	case <-ctx.Done():
		r.Reject(Rejection{Reason: "the program accepts no connections at the moment"})
	}
}

// Accept returns the next peer that wants to connect, for the program to look at
// and to Accept or Reject. It may be called by several goroutines.
func (l *Listener) Accept(ctx context.Context) (*Request, error) {
	select {
	case r := <-l.requests:
		return r, nil
	case <-l.life.Done():
		return nil, &OpError{Op: "accept", Scope: ScopeRequest, Err: ErrClosed}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Addr is the address that Dial needs.
func (l *Listener) Addr() net.Addr { return l.listener.Addr() }

// Close stops listening and drops the peers that were not accepted yet.
// Connections stay.
func (l *Listener) Close() error {
	var err error
	l.once.Do(func() {
		l.end()
		err = l.listener.Close()
	})
	l.readers.Wait()
	return err
}
