package transport

import (
	"context"

	"github.com/rfaas-go/rfaas/internal/framing"
)

// This file is what a provider implements. Programs use the front instead
// (Device, Conn, Queue, ...), which validates, bounds-checks and stages once
// for all providers, and guarantees to a provider:
//
//   - PostSend, PostRecv and Poll are each called by one goroutine at a time
//     per object (but may run at the same time as each other), and never after
//     Close of that object has begun.
//   - Requests are valid for the advertised Capabilities. Local spans lie within
//     regions of the queue pair's protection domain that were open when posted;
//     Span.LKey is the provider's own MR.LKey.
//   - Completion queues are large enough: the depths of all queue pairs and
//     shared receive queues attached to one add up to no more than its depth.

// Adapter is an opened endpoint of a provider.
type Adapter interface {
	Capabilities() Capabilities
	NewPD() (PD, error)
	NewCQ(CQConfig) (CQ, error)
	NewQP(QPConfig) (QP, error)
	// Close is called last, when everything made from the adapter is closed.
	Close() error
}

// SharedReceiver is implemented by adapters with FeatureSharedReceive.
type SharedReceiver interface {
	NewSRQ(SRQConfig) (SRQ, error)
}

// PD is a protection domain.
type PD interface {
	// Alloc makes zeroed, page-aligned memory of size > 0 bytes and registers it.
	Alloc(size int, access Access) (MR, error)
	Close() error
}

// Registrar is implemented by protection domains of adapters with
// FeatureRegister.
type Registrar interface {
	// Register registers memory that exists. It stays the caller's to free, after
	// MR.Close.
	Register(mem []byte, access Access) (MR, error)
}

// Sharer is implemented by protection domains whose provider has memory of its own kind,
// and so no Registrar for it.
type Sharer interface {
	// Share registers the memory of an open region of the same adapter, for RemoteRead
	// at most. The front keeps that region's memory until the new one is closed.
	Share(of MR, access Access) (MR, error)
}

// MR is a registered memory region.
type MR interface {
	// Bytes is the memory, at the address that spans and remote spans name.
	Bytes() []byte
	LKey() uint32
	RKey() RKey
	// Revoke ends all use: requests that reach the region afterwards fail. Its
	// domain and its adapter regard it as closed from then on.
	Revoke()
	// Close frees the memory. The front calls it when no post or poll is in progress
	// and the program does not hold the memory (Region.Hold). That may be after the
	// Close of domain and adapter.
	Close() error
}

// CQConfig describes a completion queue.
type CQConfig struct {
	Depth uint32 // completions it must be able to hold
	// Owner is held by the front during Poll and Arm, not during Wait. A provider
	// whose background side serves the queue while the program does not poll
	// takes it with TryAcquireBackground.
	Owner *Owner
}

// CQ is a completion queue.
type CQ interface {
	// Poll looks for completions, up to 1+spins times while there are none, and
	// stores as many as dst has room for. It never blocks. Spinning is inside so
	// that the cost of getting there (a lock word, an interface, a language
	// boundary) is paid before the completion arrives and not after.
	Poll(dst []Completion, spins int) (n int, err error)
	// Arm asks for a wake-up at the next completion (or the next solicited or
	// failed one). ready reports that there is one already: poll, do not sleep.
	Arm(solicitedOnly bool) (ready bool, err error)
	// Wait sleeps, after Arm, until there may be a completion; spurious returns
	// are allowed. It returns ErrClosed when Close is called meanwhile.
	Wait(ctx context.Context) error
	Close() error
}

// SRQConfig describes a shared receive queue. All queue pairs that use it
// complete their receives into CQ.
type SRQConfig struct {
	PD    PD
	CQ    CQ
	Depth uint32
}

// SRQ is a shared receive queue.
type SRQ interface {
	// PostRecv is like QP.PostRecv.
	PostRecv(wrs []WorkRequest) (n int, err error)
	Close() error
}

// QPConfig describes a queue pair.
type QPConfig struct {
	PD             PD
	SendCQ, RecvCQ CQ
	SRQ            SRQ    // nil: the queue pair has receives of its own
	Conn           uint32 // to be put into Completion.Conn
	SendDepth      uint32 // requests outstanding at most
	RecvDepth      uint32 // unused with an SRQ
	InlineBytes    uint32
	Owner          *Owner // held by the front during PostSend
	Control        Control
	// Failed is to be called, once and from anywhere, when the queue pair goes to
	// the error state without Disconnect or Close.
	Failed func(error)
	// Drained is to be called once, when after Close the last completion of the
	// queue pair was polled and no later one can come.
	Drained func()
}

// QP is a reliable connection.
type QP interface {
	// Connect makes the queue pair ready: to receive before its last exchange, and
	// to send after it.
	Connect(ctx context.Context, x Exchanger) error
	// PostSend takes requests in order and returns how many it took; fewer than
	// all only with an error, ErrQueueFull when there is no more room. It copies
	// what it needs of wrs, and never blocks. In the error state requests are
	// taken and complete as flushed.
	PostSend(wrs []WorkRequest) (n int, err error)
	// PostRecv is the same for receives.
	PostRecv(wrs []WorkRequest) (n int, err error)
	// Message hands over what the peer's queue pair sent through its Control. The
	// receiver closes the descriptors. Those that this process had no room for are
	// missing. Called by one goroutine, in order.
	Message(msg []byte, fds []int)
	// Disconnect means that the peer closed (ErrPeerClosed) or is gone
	// (ErrPeerGone). What arrived before is still delivered; then everything
	// outstanding completes as failed or flushed.
	Disconnect(reason error)
	// Close moves the queue pair to the error state for good. What is outstanding
	// completes as flushed and can still be polled. Message and Disconnect may
	// still be called during Close, and until the Close of the adapter.
	Close() error
}

// Exchanger swaps set-up messages with the peer's queue pair over the stream on
// which the connection is being made.
type Exchanger interface {
	// Exchange sends msg, with descriptors if any, and returns the peer's. The
	// caller keeps its own descriptors and owns the received ones. At most
	// MaxExchangeBytes and MaxExchangeFDs a message.
	Exchange(msg []byte, fds []int) (peerMsg []byte, peerFDs []int, err error)
	// PassesFDs reports whether descriptors can be passed: on Unix sockets.
	PassesFDs() bool
}

// Limits of one message of Exchange or Control.
const (
	MaxExchangeBytes = framing.MaxBytes
	MaxExchangeFDs   = 16
)

// Control carries a provider's own messages to the peer's queue pair, beside
// the data path and in order, for the life of the connection. On a connection
// made with Device.Join they are dropped.
type Control interface {
	// Send queues msg and a descriptor (nil for none), which it holds until it is sent,
	// and returns at once; from anywhere. When this end closes the connection, what is
	// queued is sent before the goodbye; when the peer is gone, it is dropped. A
	// connection whose peer does not read is ended when too much is queued.
	Send(msg []byte, file *File)
	// Notify sends a message that is one byte, kind (below 32), and returns at once;
	// from anywhere, without an allocation. It may overtake what Send has queued. If
	// the stream has no room, it is sent later, once per kind, however often Notify
	// was called.
	Notify(kind byte)
}

// Breaker is implemented by the front's Control, for decorators that inject
// faults.
type Breaker interface {
	// Break cuts the stream without a goodbye, as the death of the peer would: both
	// ends notice, and their queue pairs get Disconnect with an ErrPeerGone, which
	// at this end wraps why. It returns at once; from anywhere.
	Break(why error)
}
