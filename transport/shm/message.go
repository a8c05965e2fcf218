package shm

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// Control messages between two queue pairs: a kind, then fixed fields,
// big-endian.
type messageKind uint8

const (
	messageAnnounce     messageKind = iota + 1 // a region, with its descriptor: key, access, base, size
	messageWithdraw                            // a region was closed: key
	messageKick                                // the peer waits for an acknowledgement: look at the ring
	messageFailed                              // this end went to the error state: status
	messageRingReceiver                        // a message was put into the ring, and the peer sleeps
	messageRingSender                          // messages of the peer were acknowledged, and it sleeps
)

type announcement struct {
	key    uint32
	access transport.Access
	base   uint64
	size   uint64
}

const announcementBytes = 1 + 4 + 1 + 8 + 8

func (a announcement) encode() []byte {
	b := append(make([]byte, 0, announcementBytes), byte(messageAnnounce))
	b = binary.BigEndian.AppendUint32(b, a.key)
	b = append(b, byte(a.access))
	b = binary.BigEndian.AppendUint64(b, a.base)
	return binary.BigEndian.AppendUint64(b, a.size)
}

func decodeAnnouncement(b []byte) (announcement, bool) {
	if len(b) != announcementBytes {
		return announcement{}, false
	}
	return announcement{
		key:    binary.BigEndian.Uint32(b[1:]),
		access: transport.Access(b[5]),
		base:   binary.BigEndian.Uint64(b[6:]),
		size:   binary.BigEndian.Uint64(b[14:]),
	}, true
}

// announce announces a region to the peer. The domain's lock is held. Until the
// queue pair is connected, announcements wait in the backlog.
func (qp *queuePair) announce(r *region) {
	qp.own.announced.Add(1) // before the program gets the key
	qp.tell(announcement{r.key, r.access, r.base, uint64(len(r.mem))}.encode(), r.seg.file)
}

// withdraw announces that a region was closed. The domain's lock is held.
func (qp *queuePair) withdraw(r *region) {
	qp.tell(binary.BigEndian.AppendUint32([]byte{byte(messageWithdraw)}, r.key), nil)
}

// tell sends a message, or keeps it until the queue pair is connected. The
// domain's lock is held.
func (qp *queuePair) tell(msg []byte, file *transport.File) {
	if qp.connected {
		qp.cfg.Control.Send(msg, file)
		return
	}
	if file != nil {
		file.Hold() // the region may be closed before the message is sent
	}
	qp.backlog = append(qp.backlog, backlogged{msg, file})
}

// backlogged is a control message from before the connection was made.
type backlogged struct {
	msg  []byte
	file *transport.File // nil for none
}

// flushBacklog sends what waited for the connection.
func (qp *queuePair) flushBacklog() {
	qp.domain.mu.Lock()
	defer qp.domain.mu.Unlock()
	qp.connected = true
	for _, m := range qp.backlog {
		qp.cfg.Control.Send(m.msg, m.file)
		m.close()
	}
	qp.backlog = nil
}

func (m backlogged) close() {
	if m.file != nil {
		m.file.Release()
	}
}

// Message implements transport.QP.
func (qp *queuePair) Message(msg []byte, fds []int) {
	if len(msg) == 1 && len(fds) == 0 && qp.rung(messageKind(msg[0])) {
		return
	}
	fd := -1
	if len(fds) == 1 {
		fd = fds[0]
	} else {
		provider.CloseDescriptors(fds)
	}
	qp.messages.Lock()
	defer qp.messages.Unlock()
	if qp.released.Load() {
		provider.CloseDescriptors([]int{fd})
		return
	}
	if err := qp.message(msg, fd); err != nil {
		qp.fail(fmt.Errorf("%w: a control message of the peer: %w", transport.ErrInvalid, err), transport.StatusLocalOperation)
	}
}

// rung wakes the sleeper if the message is the peer's ring. It takes no lock:
// every message to a sleeping program comes this way.
func (qp *queuePair) rung(kind messageKind) bool {
	switch kind {
	case messageRingReceiver:
		qp.recvCQ.sleeper.Wake()
	case messageRingSender:
		qp.sendCQ.sleeper.Wake()
	default:
		return false
	}
	return true
}

func (qp *queuePair) message(msg []byte, fd int) error {
	var kind messageKind
	if len(msg) > 0 {
		kind = messageKind(msg[0])
	}
	if kind != messageAnnounce && fd >= 0 {
		unix.Close(fd)
	}
	switch kind {
	case messageAnnounce:
		a, ok := decodeAnnouncement(msg)
		if !ok {
			provider.CloseDescriptors([]int{fd})
			return errMalformed
		}
		if err := qp.peers.add(a, fd); err != nil {
			return err
		}
		qp.resume()
		qp.recvCQ.sleeper.Wake() // a Send's bytes may be there
	case messageWithdraw:
		if len(msg) != 5 {
			return errMalformed
		}
		if r := qp.peers.remove(binary.BigEndian.Uint32(msg[1:])); r != nil {
			// Not here: a poster that waits for a region to be announced waits for
			// this goroutine.
			qp.adapter.releasing.Go(func() {
				qp.quiesce()
				r.unmap()
			})
		}
	case messageKick:
		qp.advance()
	case messageFailed:
		if len(msg) != 2 {
			return errMalformed
		}
		status := transport.Status(msg[1])
		qp.enterError(fmt.Errorf("the peer's end failed: %v: %s", status, status.Hint()))
	default:
		return errMalformed
	}
	return nil
}

var errMalformed = fmt.Errorf("%w: malformed", transport.ErrInvalid)
