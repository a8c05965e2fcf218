package rocedump

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gopacket/gopacket"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// line prints the datagrams of a packet.
type line struct {
	d    *Printer
	info gopacket.CaptureInfo
	search
}

// joined prints a packet whose ICRC does not hold, or the packets that
// segmentation offload joined in it: datagrams of one length, but for the last.
// Only the identification of the first is known then.
func (l line) joined() {
	flow, rest := wire.NewFlow(l.frame.Src, l.frame.Dst), l.frame.Datagram
	for n := 4; n < min(len(rest), wire.MaxDatagramBytes+1); n += 4 {
		if !flow.CheckID(rest[:n], l.frame.ID) {
			continue
		}
		l.datagram(rest[:n], true)
		for rest = rest[n:]; len(rest) > 0; rest = rest[min(n, len(rest)):] {
			part := rest[:min(n, len(rest))]
			_, ok := flow.Check(part)
			l.datagram(part, ok)
		}
		return
	}
	l.datagram(rest, false)
}

// datagram prints a datagram that is there as a whole.
func (l line) datagram(b []byte, ok bool) {
	d := l.d
	d.roce++
	icrc := "icrc=ok"
	if !ok {
		d.badICRC++
		icrc = "icrc=BAD"
	}
	words, err := decode(b, len(b))
	if err == nil {
		l.print(ok, words, icrc)
		return
	}
	d.malformed++
	if words != "" {
		words += " "
	}
	l.print(false, fmt.Sprintf("%smalformed (%s)", words, strings.TrimPrefix(err.Error(), "wire: ")), fmt.Sprintf("bytes=%d", len(b)), icrc)
}

// cutOff prints a datagram of which so many bytes were captured, and zeros are
// in place of the others.
func (l line) cutOff(captured int) {
	l.d.roce++
	l.d.cutOff++
	words, err := decode(l.frame.Datagram, captured)
	if err != nil {
		words = fmt.Sprintf("bytes=%d", len(l.frame.Datagram))
	}
	l.print(true, words, "cut off")
}

// print prints a line, or not when it is right and only what is not is wanted.
func (l line) print(right bool, parts ...string) {
	if right && l.d.Quiet {
		return
	}
	at := "-" // pcapng has packets without a time
	if !l.info.Timestamp.IsZero() {
		at = l.info.Timestamp.Format("15:04:05.000000000")
	}
	parts = slices.Concat(parts, describeTrafficClass(trafficClass(l.ipPacket)), l.within)
	fmt.Fprintf(l.d.Out, "%s %s > %s %s\n", at, l.frame.Src, l.frame.Dst, strings.Join(parts, " "))
}

// decode says what a datagram is, of which so many bytes were captured. The error
// is why it is malformed, or errHeaders when too little is there to say anything;
// with the former there may be words, of the part that is right.
func decode(b []byte, captured int) (words string, err error) {
	var p wire.Packet
	err = p.Decode(b)
	switch {
	case err == nil && captured < p.HeaderBytes():
		return "", errHeaders
	case err == nil:
		mad, err := describeMAD(&p, captured-p.HeaderBytes())
		return describe(&p, p.Opcode.String(), "") + mad, err
	case !errors.Is(err, wire.ErrOpcode):
		return "", err
	case captured < bthBytes:
		return "", errHeaders
	case p.Opcode == opcodeCNP:
		return decodeCNP(&p, b)
	}
	if f, ok := forms[p.Opcode]; ok {
		return f.decode(b, captured)
	}
	// It is of a manufacturer's, or later than this program.
	return describe(&p, p.Opcode.String(), "") + fmt.Sprintf(" bytes=%d", len(b)), nil
}
