package benchmarks

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// maxDatagramBytes is the longest payload of a UDP datagram over IPv4.
const maxDatagramBytes = 1<<16 - 1 - 20 - 8

var loopbackIPv4 = [4]byte{127, 0, 0, 1}

// newUDPSocket makes a socket on a free port.
func newUDPSocket() (*udpSocket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	u := &udpSocket{fd: fd}
	if err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: loopbackIPv4})); err == nil {
		// As for RoCE: no fragments. It also saves the kernel some 2 % of a round trip.
		err = os.NewSyscallError("setsockopt IP_MTU_DISCOVER", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO))
	}
	if err != nil {
		return nil, errors.Join(err, u.close())
	}
	return u, nil
}

// newSockets makes one for the peer and one for the measuring side.
func newSockets(params) (files []*os.File, err error) {
	for range 2 {
		u, err := newUDPSocket()
		if err != nil {
			closeFiles(files)
			return nil, err
		}
		files = append(files, os.NewFile(uintptr(u.fd), "socket"))
	}
	return files, nil
}

// socketOf is this side's socket of a session, and where the other side's is.
func socketOf(s *session) (*udpSocket, uint16, error) {
	own, other := s.files[0], s.files[1]
	if s.leads() {
		own, other = other, own
	}
	port, err := (&udpSocket{fd: int(other.Fd())}).port()
	return &udpSocket{fd: int(own.Fd())}, port, err
}

func (u *udpSocket) port() (uint16, error) {
	bound, err := unix.Getsockname(u.fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return uint16(bound.(*unix.SockaddrInet4).Port), nil
}

// connect fixes the loopback port that send sends to, which saves looking up the
// way there each time, and that receive takes from.
func (u *udpSocket) connect(port uint16) error {
	return os.NewSyscallError("connect", unix.Connect(u.fd, &unix.SockaddrInet4{Port: int(port), Addr: loopbackIPv4}))
}

// receiveBuffer asks for a receive buffer, and returns the bytes that there are.
func (u *udpSocket) receiveBuffer(wanted int) (int, error) {
	err := unix.SetsockoptInt(u.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, wanted)
	if err != nil {
		return 0, os.NewSyscallError("setsockopt SO_RCVBUF", err)
	}
	bytes, err := unix.GetsockoptInt(u.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	return bytes, os.NewSyscallError("getsockopt SO_RCVBUF", err)
}

func (u *udpSocket) close() error { return os.NewSyscallError("close", unix.Close(u.fd)) }

// sendWaiting sends b, and waits while the send buffer is full.
func (u *udpSocket) sendWaiting(ctx context.Context, b []byte) error {
	var watch lossWatch
	for {
		errno := u.send(b)
		if errno == 0 {
			return nil
		}
		if err := watch.missed(ctx, "sendto", errno, 0); err != nil {
			return err
		}
	}
}

// sendAll sends a burst, waits while the send buffer is full, and empties the
// burst.
func (u *udpSocket) sendAll(ctx context.Context, b *burst) error {
	var watch lossWatch
	for first := 0; first < b.count; {
		sent, errno := u.sendBurst(b, first)
		if errno == 0 {
			first += sent
		} else if err := watch.missed(ctx, "sendmmsg", errno, 0); err != nil {
			return err
		}
	}
	b.count = 0
	return nil
}
