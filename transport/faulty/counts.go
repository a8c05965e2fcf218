package faulty

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// Counts is how many faults of each kind were injected.
type Counts struct {
	QueueFull  uint64 // posted sends refused
	RecvFull   uint64 // posted receives refused
	Delayed    uint64 // completions that crossed a slow network
	Hold       uint64 // completions held back
	Wake       uint64 // Waits that returned without a reason
	Status     uint64 // completions given a failure status
	Disconnect uint64 // connections cut
}

// Injected counts the faults injected so far, when adapter, or one that it
// decorates, is this package's. It may be called at any time from anywhere:
//
//	counts, ok := faulty.Injected(device.Adapter())
func Injected(adapter transport.Adapter) (counts Counts, ok bool) {
	for {
		switch a := adapter.(type) {
		case interface{ injectedCounts() Counts }:
			return a.injectedCounts(), true
		case interface{ Unwrap() transport.Adapter }:
			adapter = a.Unwrap()
		default:
			return Counts{}, false
		}
	}
}

type counters struct{ queueFull, recvFull, delayed, hold, wake, status, disconnect atomic.Uint64 }

func (a *adapter) injectedCounts() Counts {
	c := &a.injected
	return Counts{
		QueueFull: c.queueFull.Load(), RecvFull: c.recvFull.Load(), Delayed: c.delayed.Load(), Hold: c.hold.Load(),
		Wake: c.wake.Load(), Status: c.status.Load(), Disconnect: c.disconnect.Load(),
	}
}
