package transport

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/framing"
)

// prompt writes the frames of Notify from any goroutine, without waiting for the
// peer and without allocating.
type prompt struct {
	conn  syscall.RawConn // nil if the stream is no Unix socket
	send  func(fd uintptr)
	frame [framing.HeaderBytes + 1]byte
	err   error // of the last send
}

func (p *prompt) init(stream *net.UnixConn) {
	p.conn, _ = stream.SyscallConn()
	p.frame[3], p.frame[4] = 1, byte(framing.Control)
	p.send = func(fd uintptr) {
		// MSG_DONTWAIT affects this call only, unlike O_NONBLOCK. A Unix socket
		// takes so few bytes whole or not at all.
		p.err = unix.Send(int(fd), p.frame[:], unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	}
}

// Notify makes link the Control of an established connection.
func (l *link) Notify(kind byte) {
	if l.notifyNow(kind) {
		return
	}
	l.out.Lock()
	defer l.out.Unlock()
	if !l.out.closed {
		l.out.notices |= 1 << kind
		l.writeLater()
	}
}

// notifyNow reports whether the notice needs no retry: it was written, or the
// stream has ended, which its reader notices.
func (l *link) notifyNow(kind byte) bool {
	p := &l.prompt
	if p.conn == nil || !l.writing.TryLock() {
		return false
	}
	defer l.writing.Unlock()
	p.frame[framing.HeaderBytes] = kind
	return p.conn.Control(p.send) != nil || p.err != unix.EAGAIN
}
