package softroce

import (
	"net/netip"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// handle checks a packet from an untrusted network, a datagram or, from a raw socket, an
// IP packet, and hands it to its queue pair. Invalid packets are counted and dropped.
func (e *engine) handle(packet []byte, from *sockaddr) {
	e.counters.PacketsReceived++
	if e.socket.raw {
		e.handleWhole(packet)
		return
	}
	q := e.addressee(packet)
	if q == nil {
		return
	}
	if !q.from.matches(from, e.socket.local) {
		e.counters.WrongSource++
		return
	}
	id, ok := q.from.flow.Check(packet)
	if !ok {
		e.counters.ICRCFailures++
		return
	}
	e.deliver(q, packet, id)
}

// handleWhole is handle for a packet with its IP header, so that the ICRC can
// be checked exactly.
func (e *engine) handleWhole(packet []byte) {
	frame, err := wire.ParseIP(packet)
	if err != nil {
		e.counters.Malformed++
		return
	}
	q := e.addressee(frame.Datagram)
	if q == nil {
		return
	}
	if !q.from.allows(frame.Src) || frame.Dst != e.socket.local {
		e.counters.WrongSource++
		return
	}
	if !wire.CheckIP(packet) {
		e.counters.ICRCFailures++
		return
	}
	q.from.port = frame.Src.Port()
	e.deliver(q, frame.Datagram, frame.ID)
}

// addressee is the queue pair that a datagram names, nil if there is none.
func (e *engine) addressee(datagram []byte) *queuePair {
	if len(datagram) < minDatagram {
		e.counters.Malformed++
		return nil
	}
	q := e.lookUp(uint32(datagram[5])<<16 | uint32(datagram[6])<<8 | uint32(datagram[7]))
	if q == nil || q.machine == nil {
		e.counters.UnknownQueuePair++
		return nil
	}
	return q
}

// deliver hands a datagram whose source and ICRC are right to its queue pair.
func (e *engine) deliver(q *queuePair, datagram []byte, id uint16) {
	if err := e.packet.Decode(datagram); err != nil || e.packet.PKey&partition != wire.DefaultPKey&partition {
		e.counters.Malformed++
		return
	}
	if e.tap != nil {
		e.capture(Captured{Source: q.from.addrPort(), Destination: e.socket.local, ID: id, Datagram: datagram})
	}
	q.sendError = 0
	q.machine.Handle(&e.packet, e.now)
	e.ready.push(q)
}

const (
	minDatagram = 12 + wire.ICRCBytes // a BTH and the ICRC
	// partition is the part of a P_Key that names the partition; the top bit is
	// full or limited membership.
	partition = 0x7fff
)

// allows reports whether the peer may send from an address.
func (s *source) allows(from netip.AddrPort) bool {
	return from.Addr() == s.addr && (!s.pinned || from.Port() == s.port)
}

// matches reports whether the peer sent this, and updates the flow if the peer's
// port has changed.
func (s *source) matches(from *sockaddr, local netip.AddrPort) bool {
	if from.raw == s.last {
		return true
	}
	a := from.addrPort()
	if !s.allows(a) {
		return false
	}
	s.last, s.port = from.raw, a.Port()
	s.flow = wire.NewFlow(a, local)
	return true
}

func (s *source) addrPort() netip.AddrPort { return netip.AddrPortFrom(s.addr, s.port) }
