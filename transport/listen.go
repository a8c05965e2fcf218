package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// Dial connects to a Listener: network "unix" and a path (or "@name", which
// leaves nothing in the file system), or "tcp" and host:port. It is Connect
// over a stream that it opens.
func (d *Device) Dial(ctx context.Context, network, address string, cfg ConnConfig) (*Conn, error) {
	var dialer net.Dialer
	stream, err := dialer.DialContext(ctx, network, address)
	if errors.Is(err, os.ErrDeadlineExceeded) { // the dialer's own deadline is the context's
		err = fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
	}
	if err != nil {
		return nil, d.opError("dial "+network+" "+address, ScopeConnection, err)
	}
	return d.Connect(ctx, stream, cfg)
}

// Limits of a Listener, against peers that connect and say nothing.
const (
	requestTimeout  = 10 * time.Second
	pendingRequests = 128
)

// Listener waits for peers that Dial. It belongs to no device: whoever looks at a
// Request decides on which it is accepted, or that another process goes on with it.
type Listener struct {
	listener net.Listener
	requests chan *Request
	closed   chan struct{}
	once     sync.Once
	readers  sync.WaitGroup
}

// Listen waits for peers on a network and address as for Device.Dial.
func Listen(network, address string) (*Listener, error) {
	inner, err := net.Listen(network, address)
	if err != nil {
		return nil, &OpError{Op: "listen on " + network + " " + address, Scope: ScopeRequest, Err: err}
	}
	return Serve(inner), nil
}

// Serve makes a Listener of a net.Listener (with TLS, say), which belongs to it
// from then on.
func Serve(inner net.Listener) *Listener {
	l := &Listener{listener: inner, requests: make(chan *Request), closed: make(chan struct{})}
	l.readers.Add(1)
	go l.accept()
	return l
}

// accept takes streams and has their requests read side by side, so that a
// silent one keeps nobody waiting.
func (l *Listener) accept() {
	defer l.readers.Done()
	slots := make(chan struct{}, pendingRequests)
	for {
		select {
		case slots <- struct{}{}:
		case <-l.closed:
			return
		}
		stream, err := l.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			<-slots
			select { // out of descriptors, most likely: give others time to end
			case <-time.After(10 * time.Millisecond):
			case <-l.closed:
				return
			}
			continue
		}
		l.readers.Add(1)
		go func() {
			defer l.readers.Done()
			defer func() { <-slots }()
			l.receive(stream)
		}()
	}
}

func (l *Listener) receive(stream net.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	go func() {
		select {
		case <-l.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	r, err := Receive(ctx, stream)
	if err != nil {
		return // the peer was told; to this end it never existed
	}
	select {
	case l.requests <- r:
	case <-ctx.Done():
		r.Reject(Rejection{Reason: "nobody accepts connections here at the moment"})
	}
}

// Accept returns the next peer that wants to connect, for the program to look at
// and to Accept or Reject. It may be called by several goroutines.
func (l *Listener) Accept(ctx context.Context) (*Request, error) {
	select {
	case r := <-l.requests:
		return r, nil
	case <-l.closed:
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
		close(l.closed)
		err = l.listener.Close()
	})
	l.readers.Wait()
	return err
}
