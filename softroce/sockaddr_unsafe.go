package softroce

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
)

// sockaddr is a socket address as the kernel reads and writes it.
type sockaddr struct {
	raw unix.RawSockaddrInet6 // the larger of the two
	len uint32
}

func newSockaddr(a netip.AddrPort) (s sockaddr) {
	var port [2]byte
	binary.BigEndian.PutUint16(port[:], a.Port())
	if a.Addr().Is4() {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		v4.Family, v4.Addr = unix.AF_INET, a.Addr().As4()
		v4.Port = binary.NativeEndian.Uint16(port[:])
		s.len = unix.SizeofSockaddrInet4
		return s
	}
	s.raw.Family, s.raw.Addr = unix.AF_INET6, a.Addr().As16()
	s.raw.Port = binary.NativeEndian.Uint16(port[:])
	s.raw.Scope_id = roceaddr.Scope(a.Addr())
	s.len = unix.SizeofSockaddrInet6
	return s
}

// addrPort is the address, without a zone.
func (s *sockaddr) addrPort() netip.AddrPort {
	var port [2]byte
	binary.NativeEndian.PutUint16(port[:], s.raw.Port) // at the same place in both
	if s.raw.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), binary.BigEndian.Uint16(port[:]))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(s.raw.Addr), binary.BigEndian.Uint16(port[:]))
}

func (s *sockaddr) pointer() *byte { return (*byte)(unsafe.Pointer(&s.raw)) }
