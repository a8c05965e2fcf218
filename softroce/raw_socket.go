package softroce

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// openRaw opens a raw socket that receives packets with their IP headers, and has the
// UDP socket receive nothing. The UDP socket sends, and keeps the kernel from answering
// each packet with "port unreachable". A raw socket costs another copy of every packet.
func (s *socket) openRaw() error {
	raw, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		return fmt.Errorf("%w: checking the ICRC exactly takes a raw socket, and that the capability CAP_NET_RAW (setcap cap_net_raw+ep PROGRAM, or root); without the parameter icrc it is checked with 16 of its 32 bits, and with IPv6 exactly", transport.ErrNotSupported)
	}
	if err != nil {
		return explain("opening a raw socket", err)
	}
	s.inlet, s.raw = raw, true
	address := s.local.Addr().As4()
	port := uint32(s.local.Port())
	if err := attach(raw, []unix.SockFilter{
		{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: 0},                                // X: bytes of the IP header
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: 2},                                 // the UDP destination port
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: port, Jf: 1},                      // is it ours?
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff}, {Code: unix.BPF_RET | unix.BPF_K, K: 0}, // all of it, or nothing
	}); err != nil {
		return err
	}
	if err := unix.Bind(raw, &unix.SockaddrInet4{Addr: address}); err != nil {
		return explain("binding a raw socket", err)
	}
	return attach(s.fd, []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}})
}

// attach gives a socket a filter.
func attach(fd int, program []unix.SockFilter) error {
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	if err != nil {
		return explain("attaching a filter to a socket", err)
	}
	return nil
}
