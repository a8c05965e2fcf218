package transport

import (
	"runtime"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
)

// Owner is an ownership word, taken by compare-and-swap. Its holder may use
// what it guards: a connection's send side or a completion queue. It detects
// misuse, lets Close and Region.Close wait for calls in progress, and lets a
// provider's background side take over from a program that does not poll. The
// zero Owner is free.
//
// The low bits are the state, the rest counts releases, so that Quiesce can
// distinguish "still held" from "held again".
type Owner struct{ word atomic.Uint32 }

const (
	ownedByProgram    = 1 << iota // held by a goroutine of the program
	ownedByBackground             // held by the provider's background side
	ownerRetired                  // closed for ever
	ownerCount                    // the first bit of the counter
	ownedMask         = ownedByProgram | ownedByBackground
	ownerStateMask    = ownedMask | ownerRetired
)

// Acquire takes the word for the program. It fails with ErrConcurrentUse when
// another goroutine of the program holds it, with ErrClosed once retired, and
// waits for the background side, which never holds it for long.
func (o *Owner) Acquire() error {
	if o.try() {
		return nil
	}
	return o.acquireSlow()
}

// try is the first attempt of Acquire, small enough to be inlined.
func (o *Owner) try() bool {
	w := o.word.Load()
	return w&ownerStateMask == 0 && o.word.CompareAndSwap(w, w|ownedByProgram)
}

func (o *Owner) acquireSlow() error {
	for {
		w := o.word.Load()
		switch {
		case w&ownerRetired != 0:
			return ErrClosed
		case w&ownedByProgram != 0:
			return ErrConcurrentUse
		case w&ownedByBackground != 0:
			runtime.Gosched()
		case o.word.CompareAndSwap(w, w|ownedByProgram):
			return nil
		}
	}
}

// TryAcquireBackground takes the word for the provider's background side if it is free.
func (o *Owner) TryAcquireBackground() bool {
	w := o.word.Load()
	return w&ownerStateMask == 0 && o.word.CompareAndSwap(w, w|ownedByBackground)
}

// Release frees the word.
func (o *Owner) Release() { order.Publish(&o.word, o.word.Load()&^ownerStateMask+ownerCount) }

// Quiesce returns when the holder at the call, if any, has released the word.
func (o *Owner) Quiesce() {
	for w := o.word.Load(); w&ownedMask != 0 && o.word.Load() == w; {
		runtime.Gosched()
	}
}

// Retire waits until the word is free and makes every later Acquire fail with
// ErrClosed. It reports whether this call was the one that retired it.
func (o *Owner) Retire() bool {
	for {
		w := o.word.Load()
		switch {
		case w&ownerRetired != 0:
			return false
		case w&ownedMask != 0:
			runtime.Gosched()
		case o.word.CompareAndSwap(w, w|ownerRetired):
			return true
		}
	}
}
