package wasm

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// watchdog ends calls that exceed their time limit or whose context has ended. It checks every
// few milliseconds while calls run, and sleeps otherwise. A call only has to publish that it
// runs, with two atomic operations. The watchdog measures its time itself, from when it first
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

// watch starts watching an instance.
func (w *watchdog) watch(i *instance) {
	w.mu.Lock()
	w.all = append(w.all, i)
	w.mu.Unlock()
}

// forget stops watching it.
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

// stop ends the watchdog.
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

// look is the timer's function.
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
	// Sleep, but check once more: a call that began meanwhile may have found the watchdog
	// awake.
	w.asleep.Store(true)
	for _, i := range w.all {
		if i.state.Load()&phaseMask == phaseRunning {
			w.wake()
			return
		}
	}
}

// inspect ends a call whose time limit or context has ended. Only the watchdog calls it.
func (i *instance) inspect(s uint64, now time.Time) {
	if !i.state.CompareAndSwap(s, s-phaseRunning+phaseInspected) {
		return // it has just returned
	}
	if i.seen != s {
		i.seen, i.since = s, now
	}
	switch err := i.ctx.Err(); {
	case err != nil:
		i.fate = contextEnded(err)
	case i.limit > 0 && now.Sub(i.since) >= i.limit:
		i.fate = i.timeLimitExceeded()
	default:
		i.state.Store(s)
		return
	}
	i.interrupt()
	close(i.stopped)
	i.state.Store(s - phaseRunning + phaseKilled)
}
