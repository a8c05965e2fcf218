package softroce

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiver is where an engine's packets come from: an intake, or faults around one.
type receiver interface {
	// receive handles a batch of what has arrived, and reports whether anything had.
	receive() bool
}

// intake receives datagrams in batches and hands them to the engine one by one.
type intake struct {
	engine  *engine
	bulk    bool // the last batch was large, so the next may be
	headers [intakeMessages]mmsghdr
	iovecs  [intakeMessages]unix.Iovec
	names   [intakeMessages]sockaddr
	control [intakeMessages]segmentControl
	buffers [intakeMessages][]byte
}

const (
	// intakeMessages is how many messages one system call may bring.
	intakeMessages = 8
	// intakeBytes is the most that one message can have: many packets, glued
	// together by UDP_GRO.
	intakeBytes = 64 << 10
	// intakeShift makes the payload behind a BTH start at a multiple of 16: copies of
	// what starts elsewhere take up to twice as long.
	intakeShift = 4
	// bulkBytes are more than a lone small packet has.
	bulkBytes = 2048
)

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	unix.Msghdr
	bytes uint32
	_     [4]byte
}

// segmentControl is a control message with a segment size: UDP_SEGMENT when
// sending (16 bits), UDP_GRO when receiving (32 bits).
type segmentControl struct {
	unix.Cmsghdr
	size uint32
	_    uint32
}

const (
	sendControlBytes    = 24 // CMSG_SPACE(2)
	receiveControlBytes = 24 // CMSG_SPACE(4)
)

func (in *intake) open(e *engine) {
	in.engine = e
	memory := make([]byte, intakeMessages*intakeBytes+intakeShift)[intakeShift:]
	for i := range in.headers {
		in.buffers[i] = memory[i*intakeBytes:][:intakeBytes:intakeBytes]
		in.iovecs[i].Base = &in.buffers[i][0]
		in.iovecs[i].SetLen(intakeBytes)
		h := &in.headers[i]
		h.Iov, h.Name = &in.iovecs[i], in.names[i].pointer()
		h.SetIovlen(1)
		if e.socket.gathers {
			h.Control = (*byte)(unsafe.Pointer(&in.control[i]))
		}
		in.reset(i)
	}
}

// reset makes a header ready to be used again: the kernel stores lengths there.
func (in *intake) reset(i int) {
	h := &in.headers[i]
	h.Namelen = unix.SizeofSockaddrInet6
	if h.Control != nil {
		h.SetControllen(receiveControlBytes)
	}
}

func (in *intake) receive() bool {
	n := in.take()
	for i := range n {
		m := in.message(i)
		for more := true; more; {
			var packet []byte
			packet, more = m.next()
			in.engine.handle(packet, m.from)
		}
	}
	return n > 0
}

// take receives a batch of messages, and reports how many. An empty look, which a
// poller does all the time, is one cheap system call.
func (in *intake) take() int {
	inlet, n := uintptr(in.engine.socket.inlet), 1
	if in.bulk {
		got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, inlet, uintptr(unsafe.Pointer(&in.headers[0])), intakeMessages, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			in.bulk = false
			return 0
		}
		n = int(got)
	} else {
		got, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, inlet, uintptr(unsafe.Pointer(&in.headers[0].Msghdr)), unix.MSG_DONTWAIT)
		if errno != 0 {
			return 0
		}
		in.headers[0].bytes = uint32(got)
	}
	in.bulk = n > 1 || in.headers[0].bytes > bulkBytes
	return n
}

// message is what is left of a received one: packets of one length, of which the last
// may be shorter.
type message struct {
	rest    []byte
	segment int
	from    *sockaddr
}

// message is valid until take is called.
func (in *intake) message(i int) message {
	h := &in.headers[i]
	m := message{rest: in.buffers[i][:h.bytes], segment: int(h.bytes), from: &in.names[i]}
	if c := &in.control[i]; h.Control != nil && h.Controllen >= unix.SizeofCmsghdr+4 && c.Level == unix.SOL_UDP && c.Type == unix.UDP_GRO && c.size > 0 {
		m.segment = int(c.size)
	}
	in.reset(i)
	return m
}

// next cuts a packet off, and reports whether there are more.
func (m *message) next() (packet []byte, more bool) {
	if len(m.rest) <= m.segment {
		return m.rest, false
	}
	packet, m.rest = m.rest[:m.segment:m.segment], m.rest[m.segment:]
	return packet, true
}
