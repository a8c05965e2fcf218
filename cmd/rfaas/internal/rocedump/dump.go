// Package rocedump prints the RoCEv2 packets of captures, a line each, and verifies
// their ICRCs.
package rocedump

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

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
	notRead                                          map[string]int          // those of other that may be of RoCE, by what is in the way
	links                                            map[layers.LinkType]int // those of notRead with a link type that is not read
}

// Files prints the captures of these names, - being stdin, and returns all that is
// wrong with them.
func (d *Printer) Files(names []string, stdin io.Reader) error {
	var problems []error
	for _, name := range names {
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
	d.counts = counts{notRead: map[string]int{}, links: map[layers.LinkType]int{}}
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
	fmt.Fprintf(d.Out, "%s: %d packets: %d RoCEv2, %d bad ICRC, %d malformed, %d cut off, %d other%s\n",
		name, d.packets, d.roce, d.badICRC, d.malformed, d.cutOff, d.other, d.describeNotRead())
}

// describeNotRead is what of the other packets was not read, and why, if any.
func (d *Printer) describeNotRead() string {
	if len(d.notRead) == 0 {
		return ""
	}
	total := 0
	var each []string
	for _, what := range slices.Sorted(maps.Keys(d.notRead)) {
		total += d.notRead[what]
		each = append(each, fmt.Sprintf("%s %d", what, d.notRead[what]))
	}
	return fmt.Sprintf(" (%d not read: %s)", total, strings.Join(each, ", "))
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
	if len(d.links) > 0 {
		problems = append(problems, linkError(name, d.links))
	}
	return errors.Join(problems...)
}

// maxPacketBytes is more than any IP packet has with the headers before it.
const maxPacketBytes = 1<<16 + 64

// packet prints a packet if it is one of RoCEv2.
func (d *Printer) packet(data []byte, info gopacket.CaptureInfo, link layers.LinkType) {
	if info.CaptureLength < info.Length && info.Length <= maxPacketBytes {
		// Zeros instead of what is missing: only what is there is printed.
		data = append(slices.Clone(data), make([]byte, info.Length-info.CaptureLength)...)
	}
	s := search{ports: d.Ports, missing: len(data) - info.CaptureLength}
	if err := s.link(link, data); err != nil {
		d.passOver(err)
		return
	}
	l := line{d, info, s}
	switch captured := s.capturedOfDatagram(); {
	case captured < len(s.frame.Datagram):
		l.cutOff(captured)
	case wire.CheckIP(s.ipPacket):
		l.datagram(s.frame.Datagram, true)
	default:
		l.joined()
	}
}

// passOver counts a packet that is not printed.
func (d *Printer) passOver(why error) {
	d.other++
	switch why := why.(type) {
	case notRead:
		d.notRead[string(why)]++
	case linkNotRead:
		d.links[layers.LinkType(why)]++
		d.notRead["link type "+linkName(layers.LinkType(why))]++
	}
}
