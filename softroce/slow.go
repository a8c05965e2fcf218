package softroce

import (
	"time"

	"github.com/rfaas-go/rfaas/internal/slowlink"
)

// slowNetwork holds packets back that have arrived, as if the network were slow. It
// keeps their order. One that finds no room is lost, as in a router.
type slowNetwork struct {
	link   slowlink.Link
	header int // bytes of an IP packet that are not handed to the engine
	start  time.Time
	slots  []slowPacket
	memory []byte // slotBytes for each slot
	slot   int
	head   uint // of the oldest packet held, and
	tail   uint // of the next: both modulo len(slots)
}

// slowPacket is a packet that is held back.
type slowPacket struct {
	due   time.Duration // on the engine's clock
	bytes int
	from  sockaddr
}

const (
	// slowPackets is how many packets can be held: for 16 connections that have as
	// many in flight as they may.
	slowPackets = 16 * maxWindow
	// slowHeaders is more than a RoCE packet has around its payload, the IP header of
	// a raw socket's included.
	slowHeaders = 192
	// slowShare bounds how many packets are handed over in one go.
	slowShare = 64
)

func newSlowNetwork(e *engine, c faultConfig) *slowNetwork {
	s := &slowNetwork{
		link: slowlink.New(c.link, c.seed, 1), start: e.start,
		slots: make([]slowPacket, slowPackets), slot: e.adapter.mtu + slowHeaders,
	}
	s.memory = make([]byte, slowPackets*s.slot)
	const ipv4, ipv6, udp = 20, 40, 8
	switch {
	case e.socket.raw:
	case e.socket.local.Addr().Is4():
		s.header = ipv4 + udp
	default:
		s.header = ipv6 + udp
	}
	return s
}

// now is the engine's clock, which may lag otherwise.
func (s *slowNetwork) now() time.Duration { return time.Since(s.start) }

// add holds a packet back, and reports whether there was room.
func (s *slowNetwork) add(now time.Duration, packet []byte, from *sockaddr) bool {
	if s.tail-s.head == uint(len(s.slots)) || len(packet) > s.slot { // which no packet of RoCE is
		return false
	}
	i := s.tail % uint(len(s.slots))
	copy(s.memory[int(i)*s.slot:], packet)
	left := s.link.Leave(now, len(packet)+s.header)
	s.slots[i] = slowPacket{s.link.Arrive(left), len(packet), *from}
	s.tail++
	return true
}

// take is the oldest packet, nil if none is due. It is valid until the next add.
func (s *slowNetwork) take(now time.Duration) ([]byte, *sockaddr) {
	if s.first() > now {
		return nil, nil
	}
	i := s.head % uint(len(s.slots))
	s.head++
	return s.memory[int(i)*s.slot:][:s.slots[i].bytes], &s.slots[i].from
}

// first is when the oldest packet is due, and last the newest; never if there is none.
func (s *slowNetwork) first() time.Duration { return s.due(s.head) }
func (s *slowNetwork) last() time.Duration  { return s.due(s.tail - 1) }

func (s *slowNetwork) due(at uint) time.Duration {
	if s.head == s.tail {
		return never
	}
	return s.slots[at%uint(len(s.slots))].due
}
