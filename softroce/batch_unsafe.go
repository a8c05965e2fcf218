package softroce

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// batch collects outgoing packets and hands them to the kernel in one system
// call. Packets of equal length to the same peer, and a shorter one after them,
// become one message that the kernel (or the network card) splits: UDP_SEGMENT.
// They lie one behind the other, payloads copied while they are summed: a packet's
// memory may change, and the ICRC has to be that of the bytes that are sent.
type batch struct {
	engine *engine

	packets  int
	used     int // bytes of memory
	memory   [batchPackets * wire.MaxDatagramBytes]byte
	messages int // in use of headers
	headers  [batchPackets]mmsghdr
	iovecs   [batchPackets]unix.Iovec // of each message
	control  [batchPackets]segmentControl
	pairs    [batchPackets]*queuePair // of each message

	// The last message, which may still grow.
	to      *queuePair // nil: it may not
	segment int        // bytes of each packet but the last
	count   int        // packets
	bytes   int
}

const (
	// batchPackets is the room of a batch. From fullPackets on, no message begins: one of
	// the largest packets, 15 of them, would have to be cut in two.
	batchPackets = 64
	fullPackets  = 48
	// gsoPackets and gsoBytes bound a message: the kernel's limits.
	gsoPackets = 64
	gsoBytes   = 65507
)

func (b *batch) open(e *engine) {
	b.engine = e
	for i := range b.headers {
		b.headers[i].Iov = &b.iovecs[i]
		b.headers[i].SetIovlen(1)
		b.control[i].Level, b.control[i].Type = unix.SOL_UDP, unix.UDP_SEGMENT
		b.control[i].SetLen(unix.SizeofCmsghdr + 2)
	}
}

// add puts the packet that a queue pair's Next returned into the batch. If its payload's
// memory is not mapped, the packet is not sent, and the queue pair is notified.
func (b *batch) add(q *queuePair, p *wire.Packet) {
	p.DestQP, p.PKey = q.to.qpn, wire.DefaultPKey
	size := p.DatagramBytes()
	if b.packets == batchPackets || b.packets >= fullPackets && !b.grows(q, size) {
		b.flush()
	}
	id := uint16(0)
	if b.grows(q, size) {
		id = uint16(b.count)
	}
	s := b.memory[b.used:][:size:size]
	if p.PayloadBytes() == 0 {
		p.Encode(s, &q.to.flow, id)
	} else if pages.Guard(func() { p.Encode(s, &q.to.flow, id) }) != nil {
		q.machine.PayloadFaulted(p)
		return
	}
	b.place(q, s)
	b.packets++
	b.used += size
	b.engine.counters.PacketsSent++
	if b.engine.tap != nil {
		b.engine.capture(Captured{Sent: true, Source: b.engine.socket.local, Destination: q.peer, ID: id, Datagram: s})
	}
}

// grows reports whether a packet of size bytes becomes a part of the last message.
// Its number there is the IPv4 identification that it will have.
func (b *batch) grows(q *queuePair, size int) bool {
	return b.to == q && size <= b.segment && b.count < gsoPackets && b.bytes+size <= gsoBytes
}

// place adds a packet to the last message, or to a new one.
func (b *batch) place(q *queuePair, packet []byte) {
	size := len(packet)
	if b.grows(q, size) {
		b.count++
		b.bytes += size
		b.iovecs[b.messages-1].SetLen(b.bytes)
		if size < b.segment {
			b.to = nil // a shorter one is the last
		}
		if b.count == 2 {
			b.split()
		}
		return
	}
	h, v := &b.headers[b.messages].Msghdr, &b.iovecs[b.messages]
	b.pairs[b.messages] = q
	b.messages++
	h.Name, h.Namelen = q.to.name.pointer(), q.to.name.len
	h.Control = nil
	h.SetControllen(0)
	v.Base = unsafe.SliceData(packet)
	v.SetLen(size)
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

// flush sends the batch. Packets that the kernel refuses are lost, as on a
// network, and retransmitted.
func (b *batch) flush() {
	if b.messages == 0 {
		return
	}
	fd := uintptr(b.engine.socket.fd)
	if h := &b.headers[0]; b.messages == 1 {
		var errno unix.Errno
		if h.Controllen == 0 {
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
	b.packets, b.used, b.messages, b.to = 0, 0, 0, nil
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
