package rocedump

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/gopacket/gopacket/layers"
)

// The link types whose numbers have no name in package layers.
const (
	linkBSDRaw     layers.LinkType = 12 // LinkTypeRaw by its number on BSD
	linkOpenBSDRaw layers.LinkType = 14 // and on OpenBSD
	linkERF        layers.LinkType = 197
	linkInfiniBand layers.LinkType = 247
	linkNetlink    layers.LinkType = 253
)

// readLinks are the link types that are read, as errors list them.
var readLinks = []layers.LinkType{
	layers.LinkTypeEthernet, layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6,
	layers.LinkTypeNull, layers.LinkTypeLoop, layers.LinkTypeLinuxSLL, layers.LinkTypeLinuxSLL2,
}

// linkNames are the names of the link types that captures of RoCE come in, and
// of those that captures near it come in by mistake.
var linkNames = map[layers.LinkType]string{
	layers.LinkTypeEthernet:       "Ethernet",
	layers.LinkTypeRaw:            "raw IP",
	linkBSDRaw:                    "raw IP",
	linkOpenBSDRaw:                "raw IP",
	layers.LinkTypeIPv4:           "raw IPv4",
	layers.LinkTypeIPv6:           "raw IPv6",
	layers.LinkTypeNull:           "BSD loopback",
	layers.LinkTypeLoop:           "OpenBSD loopback",
	layers.LinkTypeLinuxSLL:       "Linux cooked",
	layers.LinkTypeLinuxSLL2:      "Linux cooked v2",
	layers.LinkTypeIEEE802_11:     "802.11",
	layers.LinkTypeIEEE80211Radio: "802.11 with radiotap",
	layers.LinkTypeLinuxUSB:       "USB",
	layers.LinkTypePPP:            "PPP",
	linkERF:                       "ERF",
	linkInfiniBand:                "InfiniBand",
	linkNetlink:                   "Linux netlink",
}

// linkName is the name and the number of a link type.
func linkName(link layers.LinkType) string {
	name := linkNames[link]
	if name == "" {
		name = "unnamed"
	}
	return fmt.Sprintf("%s (%d)", name, link)
}

// linkError says which packets were not read because of their link types, given
// the packets of each.
func linkError(name string, unread map[layers.LinkType]int) error {
	var have, read []string
	for _, link := range slices.Sorted(maps.Keys(unread)) {
		have = append(have, fmt.Sprintf("%d packets have the link type %s", unread[link], linkName(link)))
	}
	for _, link := range readLinks {
		read = append(read, linkName(link))
	}
	return fmt.Errorf("%s: %s; dump reads none of that, but: %s", name, strings.Join(have, ", "), strings.Join(read, ", "))
}

// link looks at a packet of a link.
func (s *search) link(link layers.LinkType, b []byte) error {
	const (
		loopbackBytes = 4
		slBytes       = 16 // Linux cooked
		slType        = 14
		sl2Bytes      = 20 // and its version 2
		sl2Type       = 0
	)
	switch link {
	case layers.LinkTypeEthernet:
		return s.ethernet(b)
	case layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6, linkBSDRaw, linkOpenBSDRaw:
		return s.ip(b)
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		return s.behind(loopbackBytes, b, s.ip)
	case layers.LinkTypeLinuxSLL:
		return s.cooked(slBytes, slType, b)
	case layers.LinkTypeLinuxSLL2:
		return s.cooked(sl2Bytes, sl2Type, b)
	}
	return linkNotRead(link)
}

// behind looks at what follows a header of n bytes.
func (s *search) behind(n int, b []byte, look func([]byte) error) error {
	if !s.captured(b, n) {
		return errHeaders
	}
	return look(b[n:])
}

// cooked looks at what follows a header of n bytes that has the EtherType at an
// offset.
func (s *search) cooked(n, offset int, b []byte) error {
	if !s.captured(b, n) {
		return errHeaders
	}
	return s.network(binary.BigEndian.Uint16(b[offset:]), b[n:])
}

// ethernet looks at a frame of Ethernet.
func (s *search) ethernet(b []byte) error {
	const headerBytes, typeOffset = 14, 12
	return s.cooked(headerBytes, typeOffset, b)
}
