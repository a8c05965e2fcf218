package rc

import (
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// Time is a moment on the caller's monotonic clock: since a moment that the
// caller chose, and never 0.
type Time = time.Duration

// Memory finds registered memory. What it returns is used at once and not kept. It
// may have been unmapped or protected since, or be of a file that was truncated:
// such a fault ends the request and the queue pair, not the process.
type Memory interface {
	// Local is the bytes of a local span, false when its region was closed. It may
	// be called at any time from anywhere (by Post).
	Local(s transport.Span) ([]byte, bool)
	// Remote is the n > 0 bytes at address va of the region that a peer names by
	// key; false when the key is unknown, the range is not within the region, or the
	// region does not grant the peer what it needs. For the driver only.
	Remote(key uint32, va uint64, n uint32, need transport.Access) ([]byte, bool)
}

// Receives is where the queue pair takes receives from: a queue of its own or a
// shared one. For the driver only.
type Receives interface {
	// Take removes the next receive; false when there is none.
	Take() (wr transport.WorkRequest, ok bool)
	// Posted is how many could be taken now. It is negative for a shared queue, where
	// this is unknown: the peer is given no limit.
	Posted() int
}

// Sink is notified how requests end. It is called by the driver from within
// methods of the queue pair, and must not call any.
type Sink interface {
	// Sent completes a request of the send queue: a signaled one, or one that failed.
	// entries is how many entries of the send queue are free again: its own, and
	// those of the unsignaled ones that ended before it.
	Sent(c transport.Completion, entries int)
	// Received completes a receive; the received bytes are in its memory. wr is valid
	// during the call. solicited: also wake a program that sleeps for solicited
	// messages and failures only.
	Received(wr *transport.WorkRequest, c transport.Completion, solicited bool)
	// Failed is called at most once, when the queue pair goes to the error state
	// without Fail, before the flushed requests are Sent. tell: the packets do not
	// show it to the peer, which must be notified by the stream.
	Failed(reason error, tell bool)
}

// Config describes a queue pair.
type Config struct {
	Conn    uint32 // for completions
	PeerQPN uint32 // the peer's queue pair number

	SendPSN uint32 // number of the first packet that is sent
	RecvPSN uint32 // and of the first one that is expected

	MTU         int // path MTU: payload bytes of a packet at most, 256 to 4096; the same at both ends
	SendDepth   int // requests outstanding at most
	InlineBytes int // longest payload of an Inline request

	MaxReads  int // READ requests and atomics outstanding at most; no more than the peer's Resources
	Resources int // READ requests and atomics of the peer that are remembered, for answering them again

	RNRTimer   uint8 // code (see wire.RNRTimer) of how long the peer is to wait when there is no receive
	Retries    int   // timeouts in a row without any progress, before the queue pair gives up
	RNRRetries int   // times in a row that the peer may have no receive for a request; RNRForEver: no limit

	// The retransmission timeout follows the measured round-trip time, but is not
	// below MinTimeout, and doubles from one timeout to the next up to AckTimeout.
	MinTimeout, AckTimeout time.Duration

	Window int // packets in flight at most, those of READ responses included

	Memory   Memory
	Receives Receives
	Sink     Sink
	Counters *Counters // any number of queue pairs of one driver may share one
}

const (
	// RNRForEver as Config.RNRRetries means to wait for a receive as long as it
	// takes.
	RNRForEver = 7
	// MaxMessageBytes is the longest payload of a request, either one's own or a
	// peer's.
	MaxMessageBytes = 1 << 31
)
