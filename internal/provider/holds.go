package provider

import "sync/atomic"

// Holds counts what keeps a queue pair: the open queue pair itself, and its
// completions that were not polled. The last one to go has it drained. Any goroutine
// may use it.
type Holds struct {
	count   atomic.Int64
	drained func()
}

// Open holds an open queue pair, until it releases that, closed. drained is called
// once, by whoever releases the last hold.
func (h *Holds) Open(drained func()) {
	h.drained = drained
	h.Hold()
}

// Hold adds a hold. There is one already.
func (h *Holds) Hold() { h.count.Add(1) }

// Release gives one up.
func (h *Holds) Release() {
	if h.count.Add(-1) == 0 {
		h.drained()
	}
}
