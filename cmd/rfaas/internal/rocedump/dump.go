// Package rocedump prints the RoCEv2 packets of captures, a line each, and verifies
// their ICRCs.
package rocedump

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// Printer prints captures, one at a time.
type Printer struct {
	Ports []uint16 // UDP destination ports of RoCEv2
	Quiet bool     // only the packets with something wrong, and the counts
	Out   *bufio.Writer
	counts
}

// counts is what a file had in it. Packets that were joined count as one in
// packets, and apart in the others.
type counts struct {
	packets, roce, badICRC, malformed, cutOff, other int
	unknownLinks                                     int
	unknownLink                                      layers.LinkType // the last of them
}

// Files prints the captures of these names, - being stdin, and returns all that is
// wrong with them.
func (d *Printer) Files(names []string, stdin io.Reader) error {
	var problems []error
	for _, name := range names {
		d.counts = counts{}
		problems = append(problems, d.open(name, stdin))
		if err := d.Out.Flush(); err != nil {
			return err
		}
	}
	return errors.Join(problems...)
}

func (d *Printer) open(name string, stdin io.Reader) error {
	if name == "-" {
		return d.file("standard input", stdin, true)
	}
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return d.file(name, f, false)
}

// file prints a capture, live as it comes, and returns what is wrong with it.
func (d *Printer) file(name string, r io.Reader, live bool) error {
	c, err := openCapture(name, r)
	if err != nil {
		return err
	}
	for {
		data, info, link, err := c.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			d.summary(name)
			return errors.Join(readError(name, d.packets+1, err), d.problems(name))
		}
		d.packets++
		d.packet(data, info, link)
		if live {
			if err := d.Out.Flush(); err != nil {
				return err
			}
		}
	}
	d.summary(name)
	return d.problems(name)
}

func (d *Printer) summary(name string) {
	fmt.Fprintf(d.Out, "%s: %d packets: %d RoCEv2, %d bad ICRC, %d malformed, %d cut off, %d other\n",
		name, d.packets, d.roce, d.badICRC, d.malformed, d.cutOff, d.other)
}

// problems is what was wrong with the packets of a file.
func (d *Printer) problems(name string) error {
	var problems []error
	if d.badICRC > 0 {
		problems = append(problems, fmt.Errorf("%s: the ICRC of %d of %d RoCEv2 packets does not hold: they were changed on their way, or the sender computes another one", name, d.badICRC, d.roce))
	}
	if d.malformed > 0 {
		problems = append(problems, fmt.Errorf("%s: %d of %d RoCEv2 packets are malformed; if something else uses their port, say which one is RoCEv2's with --port", name, d.malformed, d.roce))
	}
	if d.unknownLinks > 0 {
		problems = append(problems, fmt.Errorf("%s: %d packets have the link type %d (%s); capture Ethernet, raw IP, loopback or Linux cooked ones instead", name, d.unknownLinks, d.unknownLink, d.unknownLink))
	}
	return errors.Join(problems...)
}

// capture is a file of packets.
type capture struct {
	source gopacket.ZeroCopyPacketDataSource
	link   layers.LinkType // of all packets; pcapng says it with each
	mixed  bool
}

const (
	magicPcapng = "\x0a\x0d\x0d\x0a"
	magicGzip   = "\x1f\x8b"
)

func openCapture(name string, r io.Reader) (*capture, error) {
	b := bufio.NewReader(r)
	if magic, _ := b.Peek(len(magicGzip)); string(magic) == magicGzip {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("%s: is damaged (%w): copy it again", name, err)
		}
		b = bufio.NewReader(z)
	}
	magic, err := b.Peek(len(magicPcapng))
	if err == io.EOF && len(magic) == 0 {
		return nil, fmt.Errorf("%s: is empty, not even the header of a capture is there: capture again (tcpdump -U writes each packet at once)", name)
	}
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if string(magic) == magicPcapng {
		ng, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			return nil, fmt.Errorf("%s: the header of the capture is damaged (%w): capture or copy it again", name, err)
		}
		return &capture{source: ng, mixed: true}, nil
	}
	first := fmt.Sprintf("%x", magic) // before the reader moves on
	pcap, err := pcapgo.NewReader(b)
	switch {
	case err == io.ErrUnexpectedEOF:
		return nil, fmt.Errorf("%s: ends within the header of the capture: capture or copy it again", name)
	case err != nil:
		return nil, fmt.Errorf("%s: is no capture (%w), it begins with %s: dump reads pcap and pcapng files, as of tcpdump -w", name, err, first)
	}
	return &capture{source: pcap, link: pcap.LinkType()}, nil
}

// next is the next packet, which is good until the one after it. The error is
// io.EOF after the last.
func (c *capture) next() ([]byte, gopacket.CaptureInfo, layers.LinkType, error) {
	data, info, err := c.source.ZeroCopyReadPacketData()
	if err == io.EOF && info.CaptureLength > 0 {
		err = io.ErrUnexpectedEOF // pcap ends between the header of a packet and its data
	}
	link := c.link
	if err == nil && c.mixed {
		link = info.AncillaryData[0].(layers.LinkType)
	}
	return data, info, link, err
}

// readError is why a packet could not be read.
func readError(name string, packet int, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: ends in the middle of packet %d: it is still being written, or was cut off; copy or capture it again", name, packet)
	}
	return fmt.Errorf("%s: is damaged at packet %d (%w): copy or capture it again", name, packet, err)
}

// errLinkType is a link layer that dump does not know.
var errLinkType = errors.New("unknown link type")

// ipPacket is the IP packet, if it is one, in a packet of a link, and what
// follows it.
func ipPacket(link layers.LinkType, b []byte) ([]byte, error) {
	const bsdRaw, openBSDRaw = 12, 14 // LinkTypeRaw by its names elsewhere
	header := 0
	switch link {
	case layers.LinkTypeEthernet:
		return wire.ParseEthernet(b)
	case layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6, bsdRaw, openBSDRaw:
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		header = 4
	case layers.LinkTypeLinuxSLL:
		header = 16
	case layers.LinkTypeLinuxSLL2:
		header = 20
	default:
		return nil, errLinkType
	}
	if len(b) < header {
		return nil, wire.ErrTruncated
	}
	return b[header:], nil
}

// maxPacketBytes is more than any IP packet has with the headers before it.
const maxPacketBytes = 1<<16 + 64

// packet prints a packet if it is one of RoCEv2.
func (d *Printer) packet(data []byte, info gopacket.CaptureInfo, link layers.LinkType) {
	cutOff := info.CaptureLength < info.Length
	if cutOff && info.Length <= maxPacketBytes {
		// Zeros instead of what is missing: only what is there is printed.
		data = append(slices.Clone(data), make([]byte, info.Length-info.CaptureLength)...)
	}
	ip, err := ipPacket(link, data)
	if err == errLinkType {
		d.unknownLinks, d.unknownLink = d.unknownLinks+1, link
	}
	if err != nil {
		d.other++
		return
	}
	frame, err := wire.ParseIP(ip)
	if err != nil || !slices.Contains(d.Ports, frame.Dst.Port()) {
		d.other++
		return
	}
	l := line{d: d, info: info, frame: frame}
	switch {
	case cutOff:
		ipBytes := 20
		if !frame.Src.Addr().Is4() {
			ipBytes = 40
		}
		const udpBytes = 8
		l.cutOff(info.CaptureLength - (len(data) - len(ip)) - ipBytes - udpBytes)
	case wire.CheckIP(ip):
		l.datagram(frame.Datagram, true)
	default:
		l.joined()
	}
}

// line prints the datagrams of a packet.
type line struct {
	d     *Printer
	info  gopacket.CaptureInfo
	frame wire.Frame
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
	var p wire.Packet
	err := p.Decode(b)
	switch {
	case err == nil:
		l.print(ok, describe(&p), icrc)
	case errors.Is(err, wire.ErrOpcode):
		// It is another service, or another opcode of RC; both may be right.
		l.print(ok, describe(&p), fmt.Sprintf("bytes=%d", len(b)), icrc)
	default:
		d.malformed++
		l.print(false, fmt.Sprintf("malformed (%s)", strings.TrimPrefix(err.Error(), "wire: ")), fmt.Sprintf("bytes=%d", len(b)), icrc)
	}
}

// cutOff prints a datagram of which so many bytes were captured, and zeros are
// in place of the others.
func (l line) cutOff(captured int) {
	l.d.roce++
	l.d.cutOff++
	var p wire.Packet
	if err := p.Decode(l.frame.Datagram); err != nil || captured < p.HeaderBytes() {
		l.print(true, fmt.Sprintf("bytes=%d", len(l.frame.Datagram)), "cut off")
		return
	}
	l.print(true, describe(&p), "cut off")
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
	fmt.Fprintf(l.d.Out, "%s %s > %s %s\n", at, l.frame.Src, l.frame.Dst, strings.Join(parts, " "))
}

// describe is what the headers of a packet say.
func describe(p *wire.Packet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v qp=%#x psn=%d", p.Opcode, p.DestQP, p.PSN)
	if p.PKey != wire.DefaultPKey {
		fmt.Fprintf(&b, " pkey=%#x", p.PKey)
	}
	if flags := describeFlags(p); flags != "" {
		fmt.Fprintf(&b, " flags=%s", flags)
	}
	if p.Opcode.HasDETH() {
		fmt.Fprintf(&b, " qkey=%#x source-qp=%#x", p.QKey, p.SourceQP)
	}
	if p.Opcode.HasRETH() {
		fmt.Fprintf(&b, " va=%#x rkey=%#x length=%d", p.VA, p.RKey, p.Length)
	}
	switch p.Opcode {
	case wire.CompareSwap:
		fmt.Fprintf(&b, " va=%#x rkey=%#x compare=%#x swap=%#x", p.VA, p.RKey, p.Compare, p.SwapAdd)
	case wire.FetchAdd:
		fmt.Fprintf(&b, " va=%#x rkey=%#x add=%#x", p.VA, p.RKey, p.SwapAdd)
	}
	if p.Opcode.HasAETH() {
		fmt.Fprintf(&b, " %s msn=%d", describeSyndrome(p.Syndrome), p.MSN)
	}
	if p.Opcode.HasAtomicAckETH() {
		fmt.Fprintf(&b, " original=%#x", p.Original)
	}
	if p.Opcode.HasImm() {
		fmt.Fprintf(&b, " imm=%#x", p.Imm)
	}
	if p.Opcode.HasPayload() {
		fmt.Fprintf(&b, " payload=%d", p.PayloadBytes())
	}
	return b.String()
}

func describeFlags(p *wire.Packet) string {
	var flags []string
	for _, f := range []struct {
		set  bool
		name string
	}{{p.Solicited, "SE"}, {p.Migrated, "M"}, {p.AckRequest, "A"}, {p.Congested, "FECN"}, {p.CongestedBack, "BECN"}} {
		if f.set {
			flags = append(flags, f.name)
		}
	}
	return strings.Join(flags, ",")
}

func describeSyndrome(s uint8) string {
	switch s {
	case wire.NAKSequence:
		return "NAK=sequence"
	case wire.NAKInvalidRequest:
		return "NAK=invalid-request"
	case wire.NAKRemoteAccess:
		return "NAK=remote-access"
	case wire.NAKRemoteOperational:
		return "NAK=remote-operational"
	}
	switch s & wire.SyndromeKind {
	case wire.SyndromeACK:
		if credits, limited := wire.DecodeCredits(s); limited {
			return fmt.Sprintf("credits=%d", credits)
		}
		return "credits=unlimited"
	case wire.SyndromeRNR:
		return fmt.Sprintf("RNR=%v", wire.RNRTimer(s))
	}
	return fmt.Sprintf("syndrome=%#x", s)
}
