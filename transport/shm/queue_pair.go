package shm

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// queuePair is one end of a connection.
//
// Its fields are grouped by writer: the goroutine that posts sends (it holds
// cfg.Owner), the one that polls the send queue (sendCQ.owner) and the one that
// polls the receive queue (recvCQ.owner, which the background side takes when
// the program does not poll). The groups share no cache line.
type queuePair struct {
	cfg            transport.QPConfig
	adapter        *adapter
	domain         *domain
	sendCQ, recvCQ *completionQueue
	receives       *provider.ReceiveQueue // own or shared
	shared         bool

	ownSegment, peerSegment *segment
	own, peer               half
	peers                   atlas

	connected bool         // domain.mu
	backlog   []backlogged // domain.mu

	state     atomic.Uint32 // state*
	linkDown  atomic.Uint32 // link*
	graceOver atomic.Bool   // the peer had its time to end
	advancing errand        // advance
	stale     staleness

	ending struct {
		sync.Mutex
		sendDone, receiveDone, attached bool
	}
	released atomic.Bool // no part of the queue pair may be used any more
	messages sync.Mutex  // held while a control message is handled

	_    [lineBytes]byte
	send sendSide
	_    [lineBytes]byte
	comp completionSide
	_    [lineBytes]byte
	recv receiveSide
	_    [lineBytes]byte
}

// The states. They only go up.
const (
	stateConnecting = iota
	stateReady
	stateError
	stateClosed
)

// States of the link to the peer.
const (
	linkUp     = iota
	linkClosed // by the peer, in good order
	linkGone   // the peer died
)

// endGrace bounds how long requests that a failed connection's peer has not
// acknowledged wait for its last word.
const endGrace = time.Second

func (a *adapter) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	slots := 1 << bits.Len32(max(cfg.SendDepth, 1)-1)
	seg, err := newSegment("rfaas-connection", halfBytes(slots), true)
	if err != nil {
		return nil, err
	}
	qp := &queuePair{
		cfg: cfg, adapter: a, domain: cfg.PD.(*domain),
		sendCQ: cfg.SendCQ.(*completionQueue), recvCQ: cfg.RecvCQ.(*completionQueue),
		ownSegment: seg, own: viewHalf(seg.mem, slots),
	}
	qp.send.entries = make([]sendEntry, slots)
	if cfg.SRQ != nil {
		qp.receives, qp.shared = cfg.SRQ.(*sharedReceiveQueue).queue, true
	} else {
		qp.receives = provider.NewReceiveQueue(cfg.RecvDepth)
	}
	a.open.Opened("queue pair")
	return qp, nil
}

// Connect implements transport.QP.
func (qp *queuePair) Connect(_ context.Context, x transport.Exchanger) error {
	if !x.PassesFDs() {
		return fmt.Errorf("%w: shm connects over Unix sockets only, because it passes descriptors; use network \"unix\"", transport.ErrNotSupported)
	}
	qp.domain.join(qp)
	hello := binary.BigEndian.AppendUint32(nil, uint32(len(qp.own.slots)))
	msg, fds, err := x.Exchange(hello, []int{qp.ownSegment.file.FD()})
	if err != nil {
		return err
	}
	if len(msg) != 4 || len(fds) != 1 {
		provider.CloseDescriptors(fds)
		return fmt.Errorf("%w: the peer's set-up message has %d bytes and %d descriptors", transport.ErrInvalid, len(msg), len(fds))
	}
	slots := binary.BigEndian.Uint32(msg)
	if slots == 0 || slots > maxSlots || slots&(slots-1) != 0 {
		provider.CloseDescriptors(fds)
		return fmt.Errorf("%w: the peer's ring has %d slots", transport.ErrInvalid, slots)
	}
	if qp.peerSegment, err = mapSegment(fds[0], halfBytes(int(slots)), false); err != nil {
		return err
	}
	qp.peer = viewHalf(qp.peerSegment.mem, int(slots))
	qp.recv.slot = &qp.peer.slots[0]
	if !qp.state.CompareAndSwap(stateConnecting, stateReady) {
		return transport.ErrClosed
	}
	qp.attach()
	if _, fds, err = x.Exchange(nil, nil); err != nil { // both are ready to receive
		return err
	}
	provider.CloseDescriptors(fds)
	qp.flushBacklog()
	return nil
}

// attach adds the queue pair to its queues.
func (qp *queuePair) attach() {
	qp.ending.Lock()
	defer qp.ending.Unlock()
	qp.ending.attached = true
	qp.sendCQ.add(qp)
	if qp.recvCQ != qp.sendCQ {
		qp.recvCQ.add(qp)
	}
}

// fail takes the queue pair to the error state for a reason found on this side,
// and notifies the peer.
func (qp *queuePair) fail(reason error, status transport.Status) {
	if qp.enterError(reason) {
		qp.cfg.Control.Send([]byte{byte(messageFailed), byte(status)}, nil)
	}
}

// enterError takes the queue pair to the error state, and reports whether this
// call did. What has arrived is still delivered; the rest is flushed.
func (qp *queuePair) enterError(reason error) bool {
	if !qp.state.CompareAndSwap(stateReady, stateError) && !qp.state.CompareAndSwap(stateConnecting, stateError) {
		return false
	}
	qp.cfg.Failed(reason)
	time.AfterFunc(endGrace, func() {
		qp.graceOver.Store(true)
		qp.wake()
	})
	qp.wake()
	qp.advance()
	if qp.send.waiting.Load() {
		qp.adapter.releasing.Go(qp.resume) // not here: this may be within a post
	}
	return true
}

// wake wakes this process's sleepers.
func (qp *queuePair) wake() {
	qp.sendCQ.sleeper.Wake()
	if qp.recvCQ != qp.sendCQ {
		qp.recvCQ.sleeper.Wake()
	}
}

// Disconnect implements transport.QP.
func (qp *queuePair) Disconnect(reason error) {
	down := uint32(linkClosed)
	if reason != transport.ErrPeerClosed {
		down = linkGone
	}
	qp.linkDown.Store(down)
	if !qp.enterError(reason) { // failed before: what waited for the peer's last word need wait no more
		qp.wake()
		qp.advance()
	}
}

// Close implements transport.QP.
func (qp *queuePair) Close() error {
	qp.domain.leave(qp) // first: once it is closed, a poller may release it, and announcements go into its memory
	qp.state.Store(stateClosed)
	qp.proceed() // the front posts no more
	qp.ending.Lock()
	attached := qp.ending.attached
	qp.ending.Unlock()
	if !attached {
		qp.done(true, true)
		return nil
	}
	qp.wake()
	// A program that polls sees the end. For one that does not, tell the peer what
	// was consumed; with nothing outstanding the queue pair is done.
	if tryFor(closePatience, qp.recvCQ.owner.TryAcquireBackground) {
		qp.acknowledge()
		qp.settleReceives()
		qp.recvCQ.owner.Release()
	}
	if tryFor(closePatience, qp.sendCQ.owner.TryAcquireBackground) {
		qp.settleSends()
		qp.sendCQ.owner.Release()
	}
	return nil
}

// closePatience bounds how often Close tries to take the owner words between polls.
const closePatience = 1000

func tryFor(attempts int, try func() bool) bool {
	for range attempts {
		if try() {
			return true
		}
		runtime.Gosched()
	}
	return false
}

// settleSends notes, under sendCQ.owner, that a closed queue pair has no send
// completion left.
func (qp *queuePair) settleSends() {
	if qp.state.Load() == stateClosed && qp.comp.done == uint32(qp.send.posted.Load()) {
		qp.done(true, false)
	}
}

// settleReceives is the same for receives, under recvCQ.owner.
func (qp *queuePair) settleReceives() {
	if qp.state.Load() == stateClosed && (qp.shared || qp.receives.First() == nil) {
		qp.done(false, true)
	}
}

// done releases the queue pair when both of its sides have ended.
func (qp *queuePair) done(send, receive bool) {
	qp.ending.Lock()
	defer qp.ending.Unlock()
	qp.ending.sendDone = qp.ending.sendDone || send
	qp.ending.receiveDone = qp.ending.receiveDone || receive
	if qp.ending.sendDone && qp.ending.receiveDone && qp.released.CompareAndSwap(false, true) {
		qp.cfg.Drained()
		qp.adapter.releasing.Go(qp.release) // it waits for pollers, and the caller may be one
	}
}

// release frees everything.
func (qp *queuePair) release() {
	qp.sendCQ.remove(qp)
	qp.recvCQ.remove(qp)
	qp.quiesce()
	qp.domain.mu.Lock()
	for _, m := range qp.backlog {
		m.close()
	}
	qp.backlog = nil
	qp.domain.mu.Unlock()
	qp.messages.Lock() // none is being handled, and none will be
	qp.peers.unmap()
	if qp.peerSegment != nil {
		qp.peerSegment.close()
	}
	qp.ownSegment.close()
	qp.messages.Unlock()
	qp.adapter.open.Closed("queue pair")
}

// quiesce returns when every post and poll in progress has returned.
func (qp *queuePair) quiesce() {
	qp.cfg.Owner.Quiesce()
	qp.sendCQ.owner.Quiesce()
	qp.recvCQ.owner.Quiesce()
}
