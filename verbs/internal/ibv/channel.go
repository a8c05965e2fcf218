//go:build cgo && linux

package ibv

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"os"
	"sync"
	"syscall"
)

// Channel reports completions in armed queues that were made on it.
type Channel struct {
	context *Context
	events  *notifier
	take    func() syscall.Errno // takes all events that there are

	mu      sync.Mutex
	channel *C.struct_abi_comp_channel // nil when destroyed
	queues  int                        // that are open
	closed  bool
}

// NewChannel makes a completion channel.
func (c *Context) NewChannel() (*Channel, error) {
	channel, err := C.shim_create_channel(c.library.calls, c.ctx)
	if channel == nil {
		return nil, noObject(err, "ibv_create_comp_channel on %s", c.name)
	}
	events, err := newNotifier(int(C.shim_channel_fd(channel)), "completion channel of "+c.name)
	if err != nil {
		C.shim_destroy_channel(c.library.calls, channel)
		return nil, err
	}
	c.open.Add(1)
	ch := &Channel{context: c, channel: channel, events: events}
	ch.take = func() syscall.Errno { return syscall.Errno(C.shim_cq_events(c.library.calls, channel)) }
	return ch, nil
}

// Wait sleeps until an armed queue got a completion, and takes all pending events. One
// goroutine at a time. Its error is that of ctx, or os.ErrClosed after Close has begun.
func (ch *Channel) Wait(ctx context.Context) error {
	if err := ch.events.wait(ctx, ch.take); err != nil {
		return fmt.Errorf("waiting for completions of %s: %w", ch.context.name, err)
	}
	return nil
}

// Close ends Wait at once; the channel itself goes with the last queue made on
// it. It may be called from anywhere.
func (ch *Channel) Close() error {
	ch.events.close()
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.closed = true
	return ch.destroy()
}

// attach makes the channel stay for a queue.
func (ch *Channel) attach() (*C.struct_abi_comp_channel, error) {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	if ch.closed {
		return nil, fmt.Errorf("completion channel of %s: %w", ch.context.name, os.ErrClosed)
	}
	ch.queues++
	return ch.channel, nil
}

func (ch *Channel) detach() error {
	ch.mu.Lock()
	defer ch.mu.Unlock()
	ch.queues--
	return ch.destroy()
}

// destroy destroys the channel if no queue uses it. mu is held.
func (ch *Channel) destroy() error {
	if !ch.closed || ch.queues > 0 || ch.channel == nil {
		return nil
	}
	if errno := C.shim_destroy_channel(ch.context.library.calls, ch.channel); errno != 0 {
		return failed(syscall.Errno(errno), "ibv_destroy_comp_channel on %s", ch.context.name)
	}
	ch.channel = nil
	ch.context.open.Add(-1)
	return nil
}
