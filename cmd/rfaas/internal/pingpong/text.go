package pingpong

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
)

// Address is one end, as ibv_rc_pingpong tells it to the other.
type Address struct {
	LID uint16 // of InfiniBand; 0 on Ethernet
	QPN uint32 // queue pair number, 24 bits
	PSN uint32 // of the first packet that this end sends, 24 bits
	GID netip.Addr
}

// String is what ibv_rc_pingpong prints.
func (a Address) String() string {
	return fmt.Sprintf("LID 0x%04x, QPN 0x%06x, PSN 0x%06x, GID %v", a.LID, a.QPN, a.PSN, netip.AddrFrom16(a.GID.As16()))
}

// The text of an address: LID:QPN:PSN:GID, in hexadecimal digits, and a zero byte.
// IPv4 addresses are GIDs as ::ffff:a.b.c.d.
const (
	textBytes = 52
	done      = "done\x00" // the client's last word
)

func (a Address) text() []byte {
	return fmt.Appendf(make([]byte, 0, textBytes), "%04x:%06x:%06x:%x\x00", a.LID, a.QPN, a.PSN, a.GID.As16())
}

// parseAddress reads a text of exactly this form.
func parseAddress(b []byte) (a Address, err error) {
	malformed := fmt.Errorf("%q is no address of ibv_rc_pingpong", b)
	if len(b) != textBytes || b[4] != ':' || b[11] != ':' || b[18] != ':' || b[51] != 0 {
		return Address{}, malformed
	}
	number := func(digits []byte) uint32 {
		n, nerr := strconv.ParseUint(string(digits), 16, 32)
		if nerr != nil {
			err = malformed
		}
		return uint32(n)
	}
	a.LID, a.QPN, a.PSN = uint16(number(b[:4])), number(b[5:11]), number(b[12:18])
	var gid [16]byte
	if _, herr := hex.Decode(gid[:], b[19:51]); herr != nil || err != nil {
		return Address{}, malformed
	}
	a.GID = netip.AddrFrom16(gid).Unmap()
	return a, nil
}
