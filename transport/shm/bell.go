package shm

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// A bell wakes a sleeper of this process. Peers ring it by a control message
// (messageRingReceiver, messageRingSender): there is no descriptor that two
// processes share, because whoever has one can make the calls of all others on it
// block, or take their rings away. Whether there is a sleeper is a word in the
// sleeper's half: each time it goes to sleep it raises it to a value not used
// before, and who finds a value that he has not answered yet rings. So a peer rings
// once for each sleep, and never needs to write where the sleeper does.
type bell struct {
	rung   chan struct{} // holds one ring
	closed chan struct{}
	once   sync.Once
}

func newBell() *bell { return &bell{rung: make(chan struct{}, 1), closed: make(chan struct{})} }

// ring wakes the sleeper, or the next one.
func (b *bell) ring() {
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// wait sleeps until somebody rings or the context ends; it may return early.
func (b *bell) wait(ctx context.Context) error {
	select {
	case <-b.rung:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-b.closed:
		return transport.ErrClosed
	}
}

func (b *bell) close() { b.once.Do(func() { close(b.closed) }) }

// raise announces a sleep in a bell word, unless the last one has not been
// answered yet.
func raise(word *atomic.Uint32, answered uint32) {
	v := word.Load()
	if v != 0 && v != answered {
		return
	}
	if v++; v == 0 {
		v = 1 // 0 is "never slept"
	}
	word.Store(v)
}
