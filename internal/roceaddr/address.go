// Package roceaddr has the messages that two ends of a RoCE connection exchange
// over its stream, at set-up and later. All providers of RoCE use it, so that they
// connect to each other.
package roceaddr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Wire is the Capabilities.Wire of providers whose queue pairs exchange an
// Address and then speak RoCEv2 reliable connections.
const Wire = "rocev2-rc/1"

// WireInfiniBand is the same for the ports of an InfiniBand fabric.
const WireInfiniBand = "infiniband-rc/1"

// Address is one end of a reliable connection, as its peer needs to know it.
type Address struct {
	GID netip.Addr // RoCEv2: the IP address, IPv4 not mapped
	LID uint16     // in an InfiniBand fabric; else 0
	QPN uint32     // queue pair number, 24 bits
	PSN uint32     // of the first packet that this end sends, 24 bits
	MTU uint16     // path MTU that this end can do: 256, 512, 1024, 2048 or 4096 bytes of payload

	Resources uint16 // READs and atomics of the peer that this end can have open: max_dest_rd_atomic
	Initiates uint16 // READs and atomics that this end wants to have open: max_rd_atomic

	// Port is the UDP port that packets to this end are sent to: 4791, except
	// for a user-space end with another.
	Port uint16
	// Window is how many packets of MTU bytes this end wants in flight towards it
	// at most, because they share its socket's buffer; 0 for no limit of its own.
	Window uint16
	// Whole asks for packets without segmentation offload: a receiver that
	// checks IP headers needs one on each packet.
	Whole bool
	// Tell asks for a Failed message for every failure, also for one that a NAK
	// reports: the program of a device does not see NAKs.
	Tell bool
}

// Bytes is the size of an encoded Address.
const Bytes = 48

const (
	version   = 1
	flagWhole = 1 << 0
	flagTell  = 1 << 1
)

// Errors of Decode.
var errSize = errors.New("not a RoCE address: wrong size or version; do both ends run the same release?")

// Encode is the Bytes bytes of the encoding, big-endian:
//
//	0 version   1 flags   2 MTU       4 QPN      8 PSN      12 resources  14 initiates
//	16 port     18 window 20 LID      22 zeros  32 GID (IPv4 as ::ffff:a.b.c.d)
func (a Address) Encode() []byte {
	b := make([]byte, Bytes)
	b[0] = version
	if a.Whole {
		b[1] |= flagWhole
	}
	if a.Tell {
		b[1] |= flagTell
	}
	binary.BigEndian.PutUint16(b[2:], a.MTU)
	binary.BigEndian.PutUint32(b[4:], a.QPN)
	binary.BigEndian.PutUint32(b[8:], a.PSN)
	binary.BigEndian.PutUint16(b[12:], a.Resources)
	binary.BigEndian.PutUint16(b[14:], a.Initiates)
	binary.BigEndian.PutUint16(b[16:], a.Port)
	binary.BigEndian.PutUint16(b[18:], a.Window)
	binary.BigEndian.PutUint16(b[20:], a.LID)
	gid := a.GID.As16()
	copy(b[32:], gid[:])
	return b
}

// Decode reads what Encode wrote, and refuses what makes no sense.
func Decode(b []byte) (a Address, err error) {
	if len(b) != Bytes || b[0] != version {
		return a, errSize
	}
	a = Address{
		GID:       netip.AddrFrom16([16]byte(b[32:48])).Unmap(),
		LID:       binary.BigEndian.Uint16(b[20:]),
		QPN:       binary.BigEndian.Uint32(b[4:]),
		PSN:       binary.BigEndian.Uint32(b[8:]),
		MTU:       binary.BigEndian.Uint16(b[2:]),
		Resources: binary.BigEndian.Uint16(b[12:]),
		Initiates: binary.BigEndian.Uint16(b[14:]),
		Port:      binary.BigEndian.Uint16(b[16:]),
		Window:    binary.BigEndian.Uint16(b[18:]),
		Whole:     b[1]&flagWhole != 0,
		Tell:      b[1]&flagTell != 0,
	}
	return a, a.check()
}

func (a Address) check() error {
	const most = 1<<24 - 1
	switch {
	case !ValidMTU(int(a.MTU)):
		return fmt.Errorf("RoCE address: path MTU %d is none of 256, 512, 1024, 2048, 4096", a.MTU)
	case a.QPN < 2 || a.QPN > most || a.PSN > most:
		return fmt.Errorf("RoCE address: queue pair number %#x or PSN %#x out of range", a.QPN, a.PSN)
	case a.Resources == 0:
		return errors.New("RoCE address: the peer can have no READs or atomics open")
	case a.Port == 0:
		return errors.New("RoCE address: UDP port 0")
	case !isHost(a.GID):
		return fmt.Errorf("RoCE address: %v is no host's address", a.GID)
	}
	return nil
}

// isHost reports whether an address can be one host's: not "this network"
// (0.0.0.0/8), nor multicast or broadcast.
func isHost(a netip.Addr) bool {
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
		return false
	}
	return !a.Is4() || a.As4()[0] != 0 && a.As4()[0] < 224
}

// ValidMTU reports whether n is one of the five path MTUs.
func ValidMTU(n int) bool { return n >= 256 && n <= 4096 && n&(n-1) == 0 }

// PathMTU is the largest path MTU whose packets fit a link's MTU in bytes, 0 if
// none does. IPv6, UDP, the longest RoCE headers and the ICRC are taken off.
func PathMTU(link int) int {
	const headers = 40 + 8 + 12 + 28 + 4
	for mtu := 4096; mtu >= 256; mtu /= 2 {
		if mtu+headers <= link {
			return mtu
		}
	}
	return 0
}
