package transport

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// intake reads bytes and descriptors from a Unix socket. It does not allocate,
// because a message may wake a program on its hot path; net's ReadMsgUnix
// allocates an address each time. One goroutine uses it.
type intake struct {
	conn   syscall.RawConn
	take   func(fd uintptr) (done bool)
	oob    [256]byte
	header unix.Msghdr
	vector unix.Iovec
	n      int
	errno  syscall.Errno
}

func (i *intake) init(stream *net.UnixConn) {
	i.conn, _ = stream.SyscallConn()
	i.take = func(fd uintptr) bool {
		i.header = unix.Msghdr{Iov: &i.vector, Control: &i.oob[0]}
		i.header.SetIovlen(1)
		i.header.SetControllen(len(i.oob))
		n, _, errno := unix.Syscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&i.header)), unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		i.n, i.errno = int(n), errno
		return errno != unix.EAGAIN
	}
}

// receive waits for bytes, and returns how many came and the control messages that
// came with them, which are valid until the next receive.
func (i *intake) receive(buf []byte) (n int, oob []byte, flags int, err error) {
	i.vector.Base = unsafe.SliceData(buf)
	i.vector.SetLen(len(buf))
	err = i.conn.Read(i.take)
	i.vector.Base = nil
	switch {
	case err != nil:
		return 0, nil, 0, err
	case i.errno != 0:
		return 0, nil, 0, &net.OpError{Op: "read", Net: "unix", Err: i.errno}
	}
	return i.n, i.oob[:i.header.Controllen], int(i.header.Flags), nil
}
