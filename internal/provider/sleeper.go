package provider

import (
	"context"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// Sleeper is the program's side of waiting for completions: it arms, looks again,
// and waits. Any goroutine may wake it.
type Sleeper struct {
	armed atomic.Uint32
	woken chan struct{} // of one element; holds one when a wait is to end
	ended chan struct{} // closed by End
}

// What a sleeper is armed for.
const (
	NotArmed uint32 = iota
	ArmedForAny
	ArmedForSolicited // or failed
)

// NewSleeper makes one that is not armed.
func NewSleeper() Sleeper {
	return Sleeper{woken: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Arm asks to be woken by the next completion, or the next solicited or failed one. It
// is a full barrier: a completion that was pushed before is seen by a look afterwards.
func (s *Sleeper) Arm(solicitedOnly bool) {
	if solicitedOnly {
		s.armed.Store(ArmedForSolicited)
	} else {
		s.armed.Store(ArmedForAny)
	}
}

// Disarm undoes Arm.
func (s *Sleeper) Disarm() { s.armed.Store(NotArmed) }

// Armed is what the sleeper is armed for.
func (s *Sleeper) Armed() uint32 { return s.armed.Load() }

// Notify reports a completion, which a full barrier must have made visible.
// urgent: it is solicited, or failed.
func (s *Sleeper) Notify(urgent bool) {
	if armed := s.armed.Load(); armed == ArmedForAny || armed == ArmedForSolicited && urgent {
		s.armed.Store(NotArmed)
		s.Wake()
	}
}

// Wake ends the wait, or the next one.
func (s *Sleeper) Wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// Wait sleeps until it is woken or the context ends; it may return early. After End
// it returns ErrClosed.
func (s *Sleeper) Wait(ctx context.Context) error {
	select {
	case <-s.woken:
		return nil
	case <-s.ended:
		return transport.ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// End ends all waits. It is called once.
func (s *Sleeper) End() { close(s.ended) }
