package softroce

import (
	"runtime"
	"sync/atomic"
)

// engineLock guards an engine: its sockets, the state machines of its
// queue pairs, its tables. Whoever has something to do tries to get it; one that
// does not leaves the work to the holder (see engine.Unlock). It is held for
// one batch of packets at most.
//
// The lowest bit says that it is held, the rest counts those that wait in Lock:
// they come before those that try, or a hot poller, which is back at once, would
// starve them.
type engineLock struct{ word atomic.Uint32 }

const (
	lockHeld   = 1
	lockWaiter = 2
)

func (l *engineLock) TryLock() bool { return l.word.Load() == 0 && l.word.CompareAndSwap(0, lockHeld) }

// Lock waits for the lock. It is for set-up, shut-down and the background.
func (l *engineLock) Lock() {
	if l.TryLock() {
		return
	}
	l.word.Add(lockWaiter)
	for {
		if w := l.word.Load(); w&lockHeld == 0 && l.word.CompareAndSwap(w, w-lockWaiter+lockHeld) {
			return
		}
		runtime.Gosched()
	}
}

// Unlock must be a full barrier: the holder then looks for work that was left to
// it, and whoever left it has tried after that.
func (l *engineLock) Unlock() { l.word.Add(^uint32(lockHeld - 1)) }
