package transport

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// writeWithFDs writes the frame's first bytes together with the descriptors.
func (l *link) writeWithFDs(frame []byte, fds []int) (int, error) {
	if l.unix == nil {
		return 0, ErrNotSupported
	}
	n, _, err := l.unix.WriteMsgUnix(frame, unix.UnixRights(fds...), nil)
	return n, err
}

// maxPendingFDs bounds the descriptors received ahead of the frames that they
// belong to. One read ends within the frame whose descriptors it returned, so
// there are never more than those of this frame and of the one before it.
const maxPendingFDs = 2 * MaxExchangeFDs

// lostFDs replaces the descriptors of a frame when this process had no room for all of them.
const lostFDs = -1

var errLostFDs = errors.New("the peer's descriptors were lost on their way: too many files are open here (ulimit -n)")

// readWithFDs reads bytes, and the descriptors that came with them.
func (l *link) readWithFDs(buf []byte) (int, error) {
	n, oob, flags, err := l.in.intake.receive(buf)
	if before := len(l.in.fds); len(oob) > 0 || flags&unix.MSG_CTRUNC != 0 {
		msgs, perr := unix.ParseSocketControlMessage(oob)
		for _, m := range msgs {
			if fds, ferr := unix.ParseUnixRights(&m); ferr == nil {
				l.in.fds = append(l.in.fds, fds...)
			}
		}
		if perr != nil || flags&unix.MSG_CTRUNC != 0 {
			closeFDs(l.in.fds[before:])
			l.in.fds = append(l.in.fds[:before], lostFDs)
		}
		if len(l.in.fds) > maxPendingFDs {
			return n, fmt.Errorf("%w: the peer sends descriptors that belong to no frame", ErrInvalid)
		}
	}
	return n, err
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		if fd != lostFDs {
			unix.Close(fd)
		}
	}
}
