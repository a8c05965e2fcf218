package transport

import (
	"errors"
	"fmt"
	"net"
)

var (
	// ErrQueueFull is back-pressure: the send, receive or shared receive queue
	// has no room for the rest of the requests. Poll, then post again.
	ErrQueueFull = errors.New("queue full; poll for completions and post again")
	// ErrNotSupported says that the provider, or this build or machine, cannot
	// do it. The wrapping error says what is missing.
	ErrNotSupported = errors.New("not supported")
	// ErrClosed means that the object was closed. It is a net.ErrClosed.
	ErrClosed = fmt.Errorf("transport: %w", net.ErrClosed)
	// ErrConcurrentUse means that a second goroutine posted on a connection, or
	// polled a queue, at the same time. Nothing was done.
	ErrConcurrentUse = errors.New("used by two goroutines at once; one may post on a connection and one may poll a queue")
	// ErrPeerClosed means that the peer closed the connection in good order.
	ErrPeerClosed = errors.New("the peer closed the connection")
	// ErrPeerGone means that the peer ended without closing the connection: its
	// process died or was killed, or the network between is gone.
	ErrPeerGone = errors.New("the peer is gone: its process ended or was killed, or the link to it broke")
	// ErrRejected means that the peer, or an Authorize hook, refused the
	// connection. If it was the peer, there is a *RejectedError.
	ErrRejected = errors.New("connection refused")
	// ErrOutOfRange means that a request asks for more than its remote span
	// grants, or for more than a limit of the provider.
	ErrOutOfRange = errors.New("out of range")
	// ErrInvalid means that a request or configuration makes no sense.
	ErrInvalid = errors.New("invalid")
)

// Scope is the blast radius of an error: what it leaves unusable.
type Scope uint8

// The scopes.
const (
	ScopeRequest    Scope = iota // this call only
	ScopeConnection              // the connection is in error
	ScopeDevice                  // the device is unusable
)

// String is the scope's name.
func (s Scope) String() string {
	switch s {
	case ScopeRequest:
		return "request"
	case ScopeConnection:
		return "connection"
	case ScopeDevice:
		return "device"
	}
	return fmt.Sprintf("scope(%d)", uint8(s))
}

// OpError says which operation of which provider failed, why, and how far the
// damage goes.
type OpError struct {
	Op       string // "open", "alloc", "post write", "connect", ...
	Provider string // the scheme of the provider's URL; empty if no device has to do with it
	Scope    Scope
	Err      error
}

func (e *OpError) Error() string {
	if e.Provider == "" {
		return fmt.Sprintf("transport: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("transport: %s: %s: %v", e.Provider, e.Op, e.Err)
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }
