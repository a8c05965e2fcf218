package benchmarks

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpSocket is an IPv4 socket on the loopback interface. Its hot calls do not
// tell the Go scheduler, as they never block; that saves some 50 ns each.
type udpSocket struct {
	fd int
	to unix.RawSockaddrInet4 // where send sends to, unless the socket is connected
	// toBytes is the length of to; 0 when there is none.
	toBytes uintptr
}

// aim sets the loopback port that send sends to, and leaves the socket
// unconnected.
func (u *udpSocket) aim(port uint16) {
	u.to = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: loopbackIPv4}
	p := (*[2]byte)(unsafe.Pointer(&u.to.Port))
	p[0], p[1] = byte(port>>8), byte(port)
	u.toBytes = unix.SizeofSockaddrInet4
}

// send sends b, which is not empty, as one datagram, or several if the socket
// has UDP_SEGMENT.
func (u *udpSocket) send(b []byte) syscall.Errno {
	var to unsafe.Pointer
	if u.toBytes > 0 {
		to = unsafe.Pointer(&u.to)
	}
	_, _, errno := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(u.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT,
		uintptr(to), u.toBytes)
	return errno
}

// receive takes the next datagram, or several if the socket has UDP_GRO, and
// returns the length; EAGAIN when there is none. b is not empty; what does not
// fit is dropped.
func (u *udpSocket) receive(b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(u.fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// burst is datagrams, or batches of them if the socket has UDP_SEGMENT, that one
// call sends on a connected socket. They stay the caller's, who leaves them alone
// until they are sent.
type burst struct {
	parts    [burstParts]unix.Iovec
	messages [burstParts]struct {
		header unix.Msghdr
		bytes  uint32 // set by the kernel
		_      uint32
	}
	count int
}

// burstParts is how many make a difference: with 8 it is not quicker.
const burstParts = 4

// add appends b, which is not empty, and reports whether the burst is full.
func (u *burst) add(b []byte) (full bool) {
	part := &u.parts[u.count]
	part.Base, part.Len = &b[0], uint64(len(b))
	header := &u.messages[u.count].header
	header.Iov, header.Iovlen = part, 1
	u.count++
	return u.count == burstParts
}

// sendBurst sends what is in the burst from number first on, and returns how
// many were sent.
func (u *udpSocket) sendBurst(b *burst, first int) (sent int, errno syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(unix.SYS_SENDMMSG, uintptr(u.fd), uintptr(unsafe.Pointer(&b.messages[first])), uintptr(b.count-first), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}
