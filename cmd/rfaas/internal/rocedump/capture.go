package rocedump

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
)

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
		return nil, fmt.Errorf("%s: %w", name, atomicfile.WithoutPath(err))
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
