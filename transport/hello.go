package transport

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hello is the first message of either end: the dialer's hello, the listener's
// accept.
type hello struct {
	wire    string // Capabilities.Wire
	device  string // Device.Name
	private []byte
}

const (
	helloMagic   = "rfaas"
	helloVersion = 2
	maxName      = 255
)

func (h hello) encode() []byte {
	b := append([]byte(helloMagic), helloVersion)
	for _, s := range []string{h.wire, h.device} {
		s = s[:min(len(s), maxName)]
		b = append(append(b, byte(len(s))), s...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.private)))
	return append(b, h.private...)
}

// peer is the peer at the other end of a stream, as its hello describes it.
func (h hello) peer(stream net.Conn) Peer {
	p := peerOf(stream)
	p.Provider, p.Wire, p.PrivateData = h.device, h.wire, h.private
	return p
}

func decodeHello(b []byte) (hello, error) {
	malformed := func(what string) (hello, error) {
		return hello{}, fmt.Errorf("%w: malformed hello: %s", ErrInvalid, what)
	}
	if len(b) < len(helloMagic)+1 || string(b[:len(helloMagic)]) != helloMagic {
		return malformed("not this protocol")
	}
	b = b[len(helloMagic):]
	if b[0] != helloVersion {
		return hello{}, fmt.Errorf("%w: the peer speaks version %d of the set-up protocol, this end %d; use one release on both ends", ErrNotSupported, b[0], helloVersion)
	}
	b = b[1:]
	var names [2]string
	for i := range names {
		if len(b) < 1 || len(b) < 1+int(b[0]) {
			return malformed("names cut short")
		}
		names[i], b = string(b[1:1+int(b[0])]), b[1+int(b[0]):]
		if !utf8.ValidString(names[i]) || strings.ContainsFunc(names[i], func(r rune) bool { return !unicode.IsPrint(r) }) {
			return malformed("names not printable")
		}
	}
	if len(b) < 2 || len(b)-2 != int(binary.BigEndian.Uint16(b)) || len(b)-2 > MaxPrivateData {
		return malformed("private data")
	}
	return hello{wire: names[0], device: names[1], private: append([]byte(nil), b[2:]...)}, nil
}
