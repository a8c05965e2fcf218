package executor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// Dial connects to the executor as a client, over a stream of its own. It sets the config's
// Token and Name.
func (e *Executor) Dial(ctx context.Context, dev *transport.Device, cfg invoke.ClientConfig) (*invoke.Client, error) {
	cfg.Token, cfg.Name = e.assignment.Token, fmt.Sprintf("process %d", e.PID())
	near, far, err := StreamPair()
	if err == nil {
		if far, err = e.socketOf(far); err == nil {
			err = e.pass(ctx, far, nil)
		}
		if err != nil {
			near.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("executor (process %d): dial: %w", e.PID(), err)
	}
	return invoke.Connect(ctx, dev, near, cfg)
}

// StreamPair makes both ends of a stream within this machine. They are sockets, so that
// either can be passed to another process.
func StreamPair() (near, far net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	var conns [2]net.Conn
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "stream to an executor")
		conn, connErr := net.FileConn(f)
		f.Close()
		conns[i], err = conn, errors.Join(err, connErr)
	}
	if err != nil {
		for _, c := range conns {
			if c != nil {
				c.Close()
			}
		}
		return nil, nil, err
	}
	return conns[0], conns[1], nil
}

// Admit passes a peer that wants to connect to the executor, which admits it if it has
// the token. An error means that the executor did not get the peer. If the executor refuses
// it, only the peer gets the reason.
func (e *Executor) Admit(ctx context.Context, r *transport.Request) error {
	stream, hello, err := r.Detach()
	if err != nil {
		return err
	}
	socket, err := e.socketOf(stream)
	if err == nil {
		err = e.pass(ctx, socket, hello)
	}
	if err != nil {
		stream.Close() // ends a relay, too
		return fmt.Errorf("executor (process %d): passing %v to it: %w", e.PID(), r.Peer(), err)
	}
	return nil
}

// socketOf returns a socket for the executor that carries the stream: the stream itself,
// or, if it is no socket or has to be inspected, one end of a pair to which it is copied.
func (e *Executor) socketOf(stream net.Conn) (net.Conn, error) {
	carry := relay
	if e.introduced() {
		carry = e.introduce
	} else if _, ok := stream.(filer); ok {
		return stream, nil
	}
	near, far, err := StreamPair()
	if err == nil {
		go carry(stream, near)
	}
	return far, err
}

// filer is a connection over a socket.
type filer interface{ File() (*os.File, error) }

// pass sends the executor the stream of a client, with the bytes already read from it. It
// closes the stream here.
func (e *Executor) pass(ctx context.Context, stream net.Conn, hello []byte) error {
	defer stream.Close()
	f, err := stream.(filer).File()
	if err != nil {
		return err
	}
	defer f.Close()
	e.passing.Lock()
	defer e.passing.Unlock()
	e.control.conn.SetWriteDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { e.control.conn.SetWriteDeadline(past) })()
	err = e.control.send(command{Client: &arrival{Hello: hello}}, f)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx) // the deadline was set for that
	}
	return err
}

// Drain makes the executor answer new calls with invoke.StatusRevoked. It does not wait
// for the call that is running.
func (e *Executor) Drain() error {
	e.passing.Lock()
	defer e.passing.Unlock()
	e.control.conn.SetWriteDeadline(time.Time{})
	return e.control.send(command{Drain: true})
}

// Token is what other processes have to present to the executor, as
// invoke.ClientConfig.Token. Keep it secret from those that may not use the executor.
func (e *Executor) Token() []byte { return e.assignment.Token }

const tokenBytes = 16

func newToken() []byte {
	token := make([]byte, tokenBytes)
	rand.Read(token)
	return token
}

// authorize admits clients with the assignment's token. The user of the client's process
// is irrelevant: a confined executor has a user of its own.
func (a *Assignment) authorize(_ context.Context, _ transport.Peer, token []byte) error {
	if subtle.ConstantTimeCompare(a.Token, token) == 1 {
		return nil
	}
	return errors.New("executor: the client's token is not that of the assignment")
}

// relay copies between two streams until either ends, and closes both. TLS ends there:
// what the set-up stream of a client carries is copied to the executor, which has no
// part in the encryption.
func relay(a, b net.Conn) {
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			a.Close()
			b.Close()
		})
	}
	both.Wait()
}
