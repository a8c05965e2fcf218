package softroce

import (
	"runtime"
	"sync/atomic"
)

// engineLock guards an engine: its sockets, the state machines of its queue pairs, its
// tables. A goroutine with work tries to take it; if that fails, it leaves the work to
// the holder (see engine.Unlock). It is held for one batch of packets at most.
//
// The lowest bit means that it is held, the rest counts those that wait in Lock.
// They have priority over TryLock, or a hot poller would starve them.
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
// it, and another goroutine leaves work before it tries the lock.
func (l *engineLock) Unlock() { l.word.Add(^uint32(lockHeld - 1)) }
