package wasm

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// watchdog ends calls that overstay. It looks every few milliseconds while calls
// run, and not at all otherwise. A call only has to say that it runs, and that is
// two atomic operations: how long, the watchdog counts itself, from when it first
// saw the call.
type watchdog struct {
	period time.Duration
	asleep atomic.Bool
	timer  *time.Timer

	mu      sync.Mutex
	all     []*instance
	stopped bool
}

const (
	minPeriod = 500 * time.Microsecond
	maxPeriod = 5 * time.Millisecond
)

func (w *watchdog) init(m *Module) {
	w.period = maxPeriod
	for _, limit := range []time.Duration{m.config.TimeLimit, m.config.LoadTimeLimit} {
		if limit > 0 {
			w.period = min(w.period, max(limit/4, minPeriod))
		}
	}
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
	w.asleep.Store(true)
}

// watch has an instance looked at from now on.
func (w *watchdog) watch(i *instance) {
	w.mu.Lock()
	w.all = append(w.all, i)
	w.mu.Unlock()
}

// forget ends what watch began.
func (w *watchdog) forget(i *instance) {
	w.mu.Lock()
	w.all = slices.DeleteFunc(w.all, func(other *instance) bool { return other == i })
	w.mu.Unlock()
}

// wake is called by a call that finds the watchdog asleep.
func (w *watchdog) wake() {
	if w.asleep.CompareAndSwap(true, false) {
		w.timer.Reset(w.period)
	}
}

// stop ends the watchdog for good.
func (w *watchdog) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
}

// CheckContexts implements runtime.ContextChecker.
func (m *Module) CheckContexts() { m.dog.look() }

// look is what the timer calls.
func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	now := time.Now()
	busy := false
	for _, i := range w.all {
		if s := i.state.Load(); s&phaseMask == phaseRunning {
			busy = true
			i.inspect(s, now)
		}
	}
	if busy {
		w.timer.Reset(w.period)
		return
	}
	// Sleep, but look once more: a call that began meanwhile may have found the
	// watchdog awake.
	w.asleep.Store(true)
	for _, i := range w.all {
		if i.state.Load()&phaseMask == phaseRunning {
			w.wake()
			return
		}
	}
}

// inspect ends a call whose time is over. The watchdog calls it.
func (i *instance) inspect(s uint64, now time.Time) {
	if !i.state.CompareAndSwap(s, s-phaseRunning+phaseInspected) {
		return // it has just returned
	}
	if i.seen != s {
		i.seen, i.since = s, now
	}
	switch err := i.ctx.Err(); {
	case err != nil:
		i.fate = givenUp(err)
	case i.limit > 0 && now.Sub(i.since) >= i.limit:
		i.fate = i.overstayed()
	default:
		i.state.Store(s)
		return
	}
	i.interrupt()
	close(i.stopped)
	i.state.Store(s - phaseRunning + phaseKilled)
}
