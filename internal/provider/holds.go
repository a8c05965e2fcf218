package provider

import "sync/atomic"

// Holds counts the holds of a queue pair: one of the open queue pair itself, and one
// of each completion that was not polled. The last release drains it. Any goroutine
// may use it.
type Holds struct {
	count   atomic.Int64
	drained func()
}

// Open adds the hold of an open queue pair, which its Close releases. drained is
// called once, by the last Release.
func (h *Holds) Open(drained func()) {
	h.drained = drained
	h.Hold()
}

// Hold adds a hold. There must be one already.
func (h *Holds) Hold() { h.count.Add(1) }

// Release releases one.
func (h *Holds) Release() {
	if h.count.Add(-1) == 0 {
		h.drained()
	}
}
