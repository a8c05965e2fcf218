package softroce

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// batch collects outgoing packets and hands them to the kernel in one system
// call. Packets of equal length to the same peer, and a shorter one after them,
// become one message that the kernel (or the network card) splits: UDP_SEGMENT.
// Payloads are not copied, but for small and volatile ones; so a batch is flushed
// before the engine lock is released.
type batch struct {
	engine *engine

	packets  int // in use of slots
	slots    [batchPackets]slot
	vectors  int // in use of iovecs
	iovecs   [batchPackets * vectorsPerPacket]unix.Iovec
	messages int // in use of headers
	headers  [batchPackets]mmsghdr
	control  [batchPackets]segmentControl
	pairs    [batchPackets]*queuePair // of each message

	whole []byte // a packet in one piece, for the tap

	// The last message, which may still grow.
	to      *queuePair // nil: it may not
	segment int        // bytes of each packet but the last
	count   int        // packets
	bytes   int
}

// slot has a packet's headers and trailer, or all of a small packet.
type slot [slotBytes]byte

const (
	batchPackets     = 64
	vectorsPerPacket = 4 // headers, two pieces of payload, trailer
	// copyBytes is the payload up to which copying is cheaper than another iovec.
	copyBytes = 512
	// slotBytes has room for headers, a READ response's payload, pad and ICRC.
	slotBytes = wire.MaxHeaderBytes + 4096 + 3 + wire.ICRCBytes + 1
	// gsoPackets and gsoBytes bound a message: the kernel's limits.
	gsoPackets = 64
	gsoBytes   = 65507
)

func (b *batch) open(e *engine) {
	b.engine = e
	for i := range b.headers {
		b.control[i].Level, b.control[i].Type = unix.SOL_UDP, unix.UDP_SEGMENT
		b.control[i].SetLen(unix.SizeofCmsghdr + 2)
	}
}

// add puts the packet that a queue pair's Next returned into the batch. If its payload's
// memory is not mapped, the packet is not sent, and the queue pair is notified.
func (b *batch) add(q *queuePair, p *wire.Packet) {
	if b.packets == batchPackets {
		b.flush()
	}
	p.DestQP, p.PKey = q.to.qpn, wire.DefaultPKey
	size, payload := p.DatagramBytes(), p.PayloadBytes()
	id := uint16(0)
	if b.grows(q, size) {
		id = uint16(b.count)
	}
	s := &b.slots[b.packets]
	h := p.EncodeHeader(s[:])
	// Memory that a peer reads may change at any time, and then the ICRC would not
	// match the bytes that the kernel copies later.
	whole := payload <= copyBytes || p.Opcode.IsReadResponse()
	var icrc uint32
	if payload == 0 {
		icrc = q.to.flow.Seal(s[:h], p.Payload, id)
	} else if pages.Guard(func() { icrc = q.to.seal(p, s[:], h, whole, id) }) != nil {
		q.machine.PayloadFaulted(p)
		return
	}
	b.place(q, size)
	b.packets++
	end := h
	if whole {
		end += payload
	}
	trailer := s[end : end+p.Pad()+wire.ICRCBytes]
	clear(trailer[:p.Pad()])
	binary.LittleEndian.PutUint32(trailer[p.Pad():], icrc)
	if whole {
		b.vector(s[:end+len(trailer)])
	} else {
		b.vector(s[:h])
		b.vector(p.Payload[0])
		if len(p.Payload[1]) > 0 {
			b.vector(p.Payload[1])
		}
		b.vector(trailer)
	}
	b.engine.counters.PacketsSent++
	if b.engine.tap != nil {
		b.show(q, p, id)
	}
}

// seal is the ICRC of a packet, with its headers in the first h bytes of s. whole:
// its payload is copied behind them first.
func (d *destination) seal(p *wire.Packet, s []byte, h int, whole bool, id uint16) uint32 {
	if whole {
		n := copy(s[h:], p.Payload[0])
		n += copy(s[h+n:], p.Payload[1])
		p.Payload[0], p.Payload[1] = s[h:h+n], nil
	}
	return d.flow.Seal(s[:h], p.Payload, id)
}

// show shows a packet to the tap, unless its memory was unmapped since it was
// sealed: then the kernel cannot read it, either.
func (b *batch) show(q *queuePair, p *wire.Packet, id uint16) {
	if pages.Guard(func() { b.whole = p.AppendTo(b.whole[:0], &q.to.flow, id) }) == nil {
		b.engine.capture(Captured{Sent: true, Source: b.engine.socket.local, Destination: q.peer, ID: id, Datagram: b.whole})
	}
}

// grows reports whether a packet of size bytes becomes a part of the last message.
// Its number there is the IPv4 identification that it will have.
func (b *batch) grows(q *queuePair, size int) bool {
	return b.to == q && size <= b.segment && b.count < gsoPackets && b.bytes+size <= gsoBytes
}

// place adds a packet of size bytes to the last message, or to a new one.
func (b *batch) place(q *queuePair, size int) {
	if b.grows(q, size) {
		b.count++
		b.bytes += size
		if size < b.segment {
			b.to = nil // a shorter one is the last
		}
		if b.count == 2 {
			b.split()
		}
		return
	}
	h := &b.headers[b.messages].Msghdr
	b.pairs[b.messages] = q
	b.messages++
	h.Name, h.Namelen = q.to.name.pointer(), q.to.name.len
	h.Iov = &b.iovecs[b.vectors]
	h.SetIovlen(0)
	h.Control = nil
	h.SetControllen(0)
	b.to, b.segment, b.count, b.bytes = nil, size, 1, size
	if b.engine.socket.segments && !q.to.whole {
		b.to = q
	}
}

// split has the kernel split the last message into packets.
func (b *batch) split() {
	c := &b.control[b.messages-1]
	*(*uint16)(unsafe.Pointer(&c.size)) = uint16(b.segment)
	h := &b.headers[b.messages-1].Msghdr
	h.Control = (*byte)(unsafe.Pointer(c))
	h.SetControllen(sendControlBytes)
}

// vector adds memory to the last message.
func (b *batch) vector(memory []byte) {
	v := &b.iovecs[b.vectors]
	b.vectors++
	v.Base = unsafe.SliceData(memory)
	v.SetLen(len(memory))
	h := &b.headers[b.messages-1].Msghdr
	h.SetIovlen(int(h.Iovlen) + 1)
}

// flush sends the batch. Packets that the kernel refuses are lost, as on a
// network, and retransmitted.
func (b *batch) flush() {
	if b.messages == 0 {
		return
	}
	fd := uintptr(b.engine.socket.fd)
	if h := &b.headers[0]; b.messages == 1 {
		var errno unix.Errno
		if h.Iovlen == 1 && h.Controllen == 0 {
			_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(h.Iov.Base)), uintptr(h.Iov.Len), unix.MSG_DONTWAIT,
				uintptr(unsafe.Pointer(h.Name)), uintptr(h.Namelen))
		} else {
			_, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, fd, uintptr(unsafe.Pointer(&h.Msghdr)), unix.MSG_DONTWAIT)
		}
		if errno != 0 {
			b.refused(0, errno)
		}
	} else {
		b.flushMany(fd)
	}
	b.packets, b.vectors, b.messages, b.to = 0, 0, 0, nil
}

func (b *batch) flushMany(fd uintptr) {
	for sent := 0; sent < b.messages; {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.headers[sent])), uintptr(b.messages-sent), unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			b.refused(sent, errno)
			n = 1 // skip it
		}
		sent += int(n)
	}
}

// refused notes that the kernel did not take a message.
func (b *batch) refused(message int, errno unix.Errno) {
	c, q := &b.engine.counters, b.pairs[message]
	c.SendErrors++
	if b.headers[message].Controllen > 0 && (errno == unix.EINVAL || errno == unix.EIO) {
		// The route does not support it, for example without checksum offload.
		q.to.whole = true
		c.SegmentationRefused++
		return
	}
	if errno != unix.EAGAIN {
		q.sendError = errno
	}
}
