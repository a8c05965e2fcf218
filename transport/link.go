package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rfaas-go/rfaas/internal/framing"
)

// link is the stream over which a connection is set up. It stays open for the
// connection's life: it carries the providers' control messages, and its end is
// how the death of the peer is noticed at once, even without posts.
type link struct {
	stream net.Conn
	unix   *net.UnixConn // stream, if descriptors can be passed on it

	in struct { // used by one goroutine: set-up, then the reader
		whole []byte // what buf is part of
		buf   []byte // received and not yet consumed
		fds   []int  // received with it, in order; lostFDs if some of a frame's are missing

		intake intake // if the stream is a Unix socket
	}
	out struct {
		sync.Mutex
		queue    []outgoing // control messages and notices not yet written
		notices  uint32     // a bit for each kind of Notify's that is not yet written
		draining bool       // a goroutine is writing them
		drained  sync.Cond  // it has ended
		closed   bool
	}
	writing sync.Mutex // held while a frame is being written
	prompt  prompt
	broken  atomic.Pointer[error] // why Break was called
}

type outgoing struct {
	kind framing.Kind
	msg  []byte
	file *File // nil for none
}

func newLink(stream net.Conn) *link {
	l := &link{stream: stream}
	l.out.drained.L = &l.out
	if l.unix, _ = stream.(*net.UnixConn); l.unix != nil {
		l.prompt.init(l.unix)
		l.in.intake.init(l.unix)
	}
	return l
}

// write sends a frame, waiting as long as the stream's deadline allows.
func (l *link) write(kind framing.Kind, payload []byte, fds ...int) error {
	frame := make([]byte, 0, framing.HeaderBytes+len(payload))
	frame = framing.Header{Size: uint32(len(payload)), Kind: kind, FDs: uint8(len(fds))}.Append(frame)
	frame = append(frame, payload...)
	l.writing.Lock()
	defer l.writing.Unlock()
	if len(fds) > 0 {
		n, err := l.writeWithFDs(frame, fds)
		if err != nil {
			return err
		}
		frame = frame[n:]
	}
	_, err := l.stream.Write(frame)
	return err
}

// read returns the next frame. The payload is valid until the next read.
func (l *link) read() (kind framing.Kind, payload []byte, fds []int, err error) {
	if err := l.fill(framing.HeaderBytes); err != nil {
		return 0, nil, nil, err
	}
	h := framing.Decode(l.in.buf)
	size, kind, nfds := h.Size, h.Kind, int(h.FDs)
	if size > framing.MaxBytes || !kind.Valid() || nfds > MaxExchangeFDs {
		return 0, nil, nil, fmt.Errorf("%w: the peer does not speak this set-up protocol (frame of kind %d, %d bytes)", ErrInvalid, kind, size)
	}
	if err := l.fill(framing.HeaderBytes + int(size)); err != nil {
		return 0, nil, nil, err
	}
	if nfds > 0 && len(l.in.fds) > 0 && l.in.fds[0] == lostFDs {
		if kind != framing.Control {
			return 0, nil, nil, errLostFDs
		}
		l.in.fds, nfds = l.in.fds[1:], 0
	}
	if nfds > len(l.in.fds) {
		return 0, nil, nil, fmt.Errorf("%w: the peer announced %d descriptors, %d arrived", ErrInvalid, nfds, len(l.in.fds))
	}
	payload = l.in.buf[framing.HeaderBytes : framing.HeaderBytes+int(size)]
	l.in.buf = l.in.buf[framing.HeaderBytes+int(size):]
	fds, l.in.fds = l.in.fds[:nfds:nfds], l.in.fds[nfds:]
	return kind, payload, fds, nil
}

// fill reads until n bytes are buffered.
func (l *link) fill(n int) error {
	for len(l.in.buf) < n {
		if len(l.in.buf) == 0 {
			l.in.buf = l.in.whole[:0]
		}
		if cap(l.in.buf) < n {
			l.in.buf = append(make([]byte, 0, max(n, 4096)), l.in.buf...)
			l.in.whole = l.in.buf
		}
		free := l.in.buf[len(l.in.buf):cap(l.in.buf)]
		var got int
		var err error
		if l.unix != nil {
			got, err = l.readWithFDs(free)
		} else {
			got, err = l.stream.Read(free)
		}
		l.in.buf = l.in.buf[:len(l.in.buf)+got]
		if got == 0 && err == nil {
			err = io.EOF
		}
		switch {
		case err == nil:
		case !errors.Is(err, io.EOF):
			return err
		case len(l.in.buf) >= n:
		case len(l.in.buf) > 0:
			return io.ErrUnexpectedEOF
		default:
			return io.EOF
		}
	}
	return nil
}

// Exchange and PassesFDs make link the Exchanger of a set-up.
func (l *link) Exchange(msg []byte, fds []int) ([]byte, []int, error) {
	if len(msg) > MaxExchangeBytes || len(fds) > MaxExchangeFDs {
		return nil, nil, fmt.Errorf("%w: exchange of %d bytes and %d descriptors", ErrOutOfRange, len(msg), len(fds))
	}
	if len(fds) > 0 && l.unix == nil {
		return nil, nil, fmt.Errorf("%w: descriptors pass over Unix sockets only", ErrNotSupported)
	}
	// Both sides write first: in the background, since a stream may have no room
	// for two large messages crossing.
	written := make(chan error, 1)
	go func() { written <- l.write(framing.Exchange, msg, fds...) }()
	payload, peerFDs, err := l.expect(framing.Exchange)
	if err != nil {
		l.stream.SetDeadline(time.Unix(1, 0)) // ends the write, too
	}
	if werr := <-written; err == nil && werr != nil {
		closeFDs(peerFDs)
		return nil, nil, werr
	}
	return append([]byte(nil), payload...), peerFDs, err
}

func (l *link) PassesFDs() bool { return l.unix != nil }

// expect reads a frame of the given kind; a rejection becomes a *RejectedError.
func (l *link) expect(want framing.Kind) ([]byte, []int, error) {
	kind, payload, fds, err := l.read()
	switch {
	case err != nil:
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = fmt.Errorf("the peer hung up during connection set-up: %w", err)
		}
		return nil, nil, err
	case kind == want:
		return payload, fds, nil
	case kind == framing.Reject:
		err = decodeRejection(payload)
	default:
		err = fmt.Errorf("%w: set-up frame of kind %d where %d was expected", ErrInvalid, kind, want)
	}
	closeFDs(fds)
	return nil, nil, err
}

// Send makes link the Control of an established connection.
func (l *link) Send(msg []byte, file *File) { l.send(framing.Control, msg, file) }

func (l *link) send(kind framing.Kind, msg []byte, file *File) {
	l.out.Lock()
	defer l.out.Unlock()
	if l.out.closed {
		return
	}
	if len(l.out.queue) == maxQueued {
		l.Break(errors.New("the peer does not read its control messages"))
		return
	}
	o := outgoing{kind: kind, msg: append([]byte(nil), msg...)}
	if file != nil {
		o.file = file.Hold()
	}
	l.out.queue = append(l.out.queue, o)
	l.writeLater()
}

// maxQueued bounds what waits for a peer to read it.
const maxQueued = 1 << 16

// writeLater starts a goroutine that writes the queue, unless one is running.
// out is locked.
func (l *link) writeLater() {
	if !l.out.draining {
		l.out.draining = true
		go l.drain()
	}
}

// next takes the first message of what is queued.
func (l *link) next() (o outgoing, ok bool) {
	l.out.Lock()
	defer l.out.Unlock()
	switch {
	case l.out.notices != 0:
		kind := bits.TrailingZeros32(l.out.notices)
		l.out.notices &^= 1 << kind
		return outgoing{kind: framing.Control, msg: []byte{byte(kind)}}, true
	case len(l.out.queue) > 0:
		o = l.out.queue[0]
		l.out.queue = l.out.queue[1:]
		return o, true
	}
	l.out.draining = false
	l.out.drained.Broadcast()
	return o, false
}

// drain writes queued control messages until there are none.
func (l *link) drain() {
	for {
		o, ok := l.next()
		if !ok {
			return
		}
		err := l.writeControl(o)
		o.close()
		// When the peer has hung up, its goodbye may still be unread: the reader
		// will find the end. Any other failure has to be passed to it.
		if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			l.stream.Close()
		}
	}
}

// writeControl retries while this user has as many descriptors in flight as
// RLIMIT_NOFILE allows (unless it is root): peers receive them soon.
func (l *link) writeControl(o outgoing) error {
	if o.file == nil {
		return l.write(o.kind, o.msg)
	}
	for {
		err := l.write(o.kind, o.msg, o.file.FD())
		if !errors.Is(err, syscall.ETOOMANYREFS) {
			return err
		}
		if l.ending() {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}

// ending is set when nothing more may be queued.
func (l *link) ending() bool {
	l.out.Lock()
	defer l.out.Unlock()
	return l.out.closed
}

func (o outgoing) close() {
	if o.file != nil {
		o.file.Release()
	}
}

// goodbyeTimeout bounds how long Close waits for a peer that does not read.
const goodbyeTimeout = 100 * time.Millisecond

// close sends what is queued, says goodbye and hangs up.
func (l *link) close() {
	l.stream.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
	if l.finishQueue() {
		l.write(framing.Goodbye, nil) // an error means that the peer is gone already
	}
	l.stream.Close()
}

// hangUp ends a link whose peer is gone.
func (l *link) hangUp() {
	l.dropQueue()
	l.stream.Close()
}

// Break makes link a Breaker.
func (l *link) Break(why error) {
	l.broken.CompareAndSwap(nil, &why)
	l.stream.Close()
}

// finishQueue ends Send and waits until everything that was queued has been
// written, or has failed to. It reports whether Send had not been ended before.
func (l *link) finishQueue() bool {
	l.out.Lock()
	defer l.out.Unlock()
	if l.out.closed {
		return false
	}
	l.out.closed = true
	for l.out.draining {
		l.out.drained.Wait()
	}
	return true
}

// dropQueue ends Send and drops what was queued.
func (l *link) dropQueue() {
	l.out.Lock()
	defer l.out.Unlock()
	l.out.closed = true
	for _, o := range l.out.queue {
		o.close()
	}
	l.out.queue, l.out.notices = nil, 0
}

// reject tells the peer why there will be no connection, and hangs up.
func (l *link) reject(r Rejection) {
	l.stream.SetWriteDeadline(time.Now().Add(goodbyeTimeout))
	l.write(framing.Reject, r.encode())
	l.stream.Close()
	closeFDs(l.in.fds)
	l.in.fds = nil
}

// bind makes the stream's deadline follow the context's end, until the returned
// function is called with the outcome of the bounded operation.
func (l *link) bind(ctx context.Context) (unbind func(err error) error) {
	stop := context.AfterFunc(ctx, func() { l.stream.SetDeadline(time.Unix(1, 0)) })
	return func(err error) error {
		if stop() {
			return err
		}
		return fmt.Errorf("connection set-up: %w", context.Cause(ctx))
	}
}
