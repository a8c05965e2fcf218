package softroce

import (
	"runtime"
	"sync/atomic"
)

// turn is the right to use an engine: its sockets, the state machines of its
// queue pairs, its tables. Whoever has something to do tries to get it; one that
// does not leaves the work to the holder (see engine.release). It is held for
// one batch of packets at most.
//
// The lowest bit says that it is held, the rest counts those that wait in take:
// they come before those that try, or a hot poller, which is back at once, would
// starve them.
type turn struct{ word atomic.Uint32 }

const (
	turnHeld   = 1
	turnWaiter = 2
)

func (t *turn) try() bool { return t.word.Load() == 0 && t.word.CompareAndSwap(0, turnHeld) }

// take waits for the turn. It is for set-up, shut-down and the background.
func (t *turn) take() {
	if t.try() {
		return
	}
	t.word.Add(turnWaiter)
	for {
		if w := t.word.Load(); w&turnHeld == 0 && t.word.CompareAndSwap(w, w-turnWaiter+turnHeld) {
			return
		}
		runtime.Gosched()
	}
}

// give must be a full barrier: the holder then looks for work that was left to
// it, and whoever left it has tried after that.
func (t *turn) give() { t.word.Add(^uint32(turnHeld - 1)) }
