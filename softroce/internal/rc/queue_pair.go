package rc

import (
	"math/bits"

	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// QueuePair is one end of a reliable connection. See the package comment for who
// may call what.
type QueuePair struct {
	cfg      Config
	counters *Counters
	mtu      uint32

	sends sendQueue
	req   requester
	resp  responder
	err   error // why it is in the error state; nil: it is not
}

// New makes a queue pair, ready to receive and to send. All its memory is
// allocated here.
func New(cfg Config) *QueuePair {
	if cfg.Counters == nil {
		cfg.Counters = new(Counters)
	}
	cfg.MaxReads, cfg.Resources = max(cfg.MaxReads, 1), max(cfg.Resources, 1)
	q := &QueuePair{cfg: cfg, counters: cfg.Counters, mtu: uint32(cfg.MTU)}
	q.sends.init(cfg.SendDepth, cfg.InlineBytes)
	q.req.init(&cfg)
	q.resp.init(&cfg)
	return q
}

// ringSize is the size of a ring for n entries.
func ringSize(n int) int { return 1 << bits.Len(uint(max(n, 1)-1)) }

// Handle takes a packet from the peer, whose ICRC has been verified. The packet
// and its payload, the first piece of it, are the caller's again on return. Call
// Next afterwards.
func (q *QueuePair) Handle(p *wire.Packet, now Time) {
	if q.err != nil {
		q.handleInError(p)
		return
	}
	switch op := p.Opcode; {
	case op == wire.Acknowledge:
		q.handleAcknowledge(p, now)
	case op.IsResponse():
		q.handleResponse(p, now)
	case op.IsRequest() && !op.IsUD():
		q.handleRequest(p, now)
	default:
		q.counters.InvalidPackets++
	}
}

// burst is how many answers to the peer are sent before one of the program's own
// requests. Answers come first, because the peer waits for them, but a peer that
// reads without a pause must not keep this end from sending; and they come in
// bursts, because packets of equal size in a row are cheap to send.
const burst = 16

// Next fills p with the next packet to be sent now, and reports whether there is
// one: answers to the peer, requests that are to be sent again, then new
// requests, then - if acks is set - an acknowledgement that waits (see AckDue).
// The payload is a part of a region or of the queue pair's own memory, until the
// next call of any method.
//
// Call it after every other call, until it returns false: the end of a request,
// or of the queue pair, may wait for it.
func (q *QueuePair) Next(now Time, acks bool, p *wire.Packet) bool {
	if q.err != nil {
		q.flush(transport.StatusFlushed)
	}
	a := &q.resp
	switch answering := a.saved.answering(); {
	case answering && a.inRow < burst:
		a.inRow++
		q.answer(p)
		return true
	case !answering && a.nak != 0:
		q.refusal(p)
		return true
	}
	if q.err == nil && q.nextRequest(now, p) {
		a.inRow = 0
		return true
	}
	if a.saved.answering() { // asked again: the requester may have failed
		a.inRow = 0
		q.answer(p)
		return true
	}
	if acks && a.ackPending {
		q.acknowledge(p)
		return true
	}
	return false
}

// Deadline is when Expire is to be called; 0: there is no need to.
func (q *QueuePair) Deadline() Time {
	if q.req.restUntil != 0 {
		return q.req.restUntil
	}
	return q.req.deadline
}

// Delivered is the PSN up to which (exclusive) the peer's packets were carried out.
// At a close the peer gets it by the stream, in case acknowledgements were lost.
func (q *QueuePair) Delivered() uint32 { return q.resp.expected.onWire() }

// Outstanding reports whether there are requests that have not ended.
func (q *QueuePair) Outstanding() bool { return q.sends.head != q.sends.posted.Load() }

// Err is why the queue pair is in the error state, nil when it is not.
func (q *QueuePair) Err() error { return q.err }
