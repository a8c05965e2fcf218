package softroce

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// intake receives datagrams in batches and hands them to the engine one by one.
type intake struct {
	engine  *engine
	bulk    bool // the last batch was large: more of the kind is to be expected
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
	memory := make([]byte, intakeMessages*intakeBytes)
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

// receive handles a batch of what has arrived, and reports whether anything had.
// A look in vain, which a poller does all the time, is one cheap system call.
func (in *intake) receive() bool {
	e := in.engine
	n := 1
	if in.bulk {
		got, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(e.socket.inlet), uintptr(unsafe.Pointer(&in.headers[0])), intakeMessages, unix.MSG_DONTWAIT, 0, 0)
		if errno != 0 {
			in.bulk = false
			return e.faults.late()
		}
		n = int(got)
	} else {
		got, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(e.socket.inlet), uintptr(unsafe.Pointer(&in.headers[0].Msghdr)), unix.MSG_DONTWAIT)
		if errno != 0 {
			return e.faults.late()
		}
		in.headers[0].bytes = uint32(got)
	}
	in.bulk = n > 1 || in.headers[0].bytes > bulkBytes
	for i := range n {
		in.split(i)
		in.reset(i)
	}
	return true
}

// split hands the packets of one message to the engine.
func (in *intake) split(i int) {
	h := &in.headers[i]
	message := in.buffers[i][:h.bytes]
	segment := len(message)
	if c := &in.control[i]; h.Control != nil && h.Controllen >= unix.SizeofCmsghdr+4 && c.Level == unix.SOL_UDP && c.Type == unix.UDP_GRO {
		segment = int(c.size)
	}
	if segment <= 0 {
		segment = len(message)
	}
	for len(message) > segment {
		in.engine.arrive(message[:segment:segment], &in.names[i])
		message = message[segment:]
	}
	in.engine.arrive(message, &in.names[i])
}
