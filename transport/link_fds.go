package transport

import (
	"errors"
	"fmt"
	"net"
	"os"

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

// readWithFDs reads bytes, and the descriptors that came with them.
func (l *link) readWithFDs(buf []byte) (int, error) {
	n, oob, flags, err := l.in.intake.receive(buf)
	if len(oob) > 0 {
		msgs, perr := unix.ParseSocketControlMessage(oob)
		for _, m := range msgs {
			if fds, ferr := unix.ParseUnixRights(&m); ferr == nil {
				l.in.fds = append(l.in.fds, fds...)
			}
		}
		if perr != nil || flags&unix.MSG_CTRUNC != 0 {
			return n, errors.New("descriptors were lost on their way: too many open files here?")
		}
		if len(l.in.fds) > maxPendingFDs {
			return n, fmt.Errorf("%w: the peer sends descriptors that belong to no frame", ErrInvalid)
		}
	}
	return n, err
}

// duplicate makes an independent, close-on-exec copy of a descriptor.
func duplicate(fd int) (*os.File, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dup), "passed"), nil
}

func closeFDs(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// credentials asks the kernel who is at the other end of a Unix socket.
func credentials(stream net.Conn) *Credentials {
	u, ok := stream.(*net.UnixConn)
	if !ok {
		return nil
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil
	}
	var c *Credentials
	raw.Control(func(fd uintptr) {
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			c = &Credentials{PID: int(cred.Pid), UID: int(cred.Uid), GID: int(cred.Gid)}
		}
	})
	return c
}
