package benchmarks

import (
	"context"

	"github.com/rfaas-go/rfaas/transport"
)

// bell lets one side tell the other that it is done: by Sends of one byte.
type bell struct {
	*sender
	in *receiver
}

// What a bell needs of its end, beside what else is posted there.
const (
	bellBytes = lineBytes
	bellDepth = 2
)

// newBell uses the bytes from off on in the end's own region and its inbox.
func newBell(e *end, off int) (*bell, error) {
	out := newSender(e, 1, func(int) transport.WorkRequest {
		return transport.Send(0, e.own.Span(off, 1))
	})
	in, err := newReceiver(e, bellDepth, func(slot int) transport.WorkRequest {
		return transport.Recv(uint64(slot), e.inbox.Span(slot, 1))
	})
	return &bell{out, in}, err
}

// ring sends, and returns when everything posted before on the connection is
// finished. Signaled requests of others that are still outstanding must have the
// ID 0.
func (b *bell) ring(ctx context.Context) error {
	slot, err := b.slot(ctx)
	if err == nil {
		err = b.post(slot)
	}
	for err == nil && b.done < b.posted {
		err = b.wait(ctx)
	}
	return err
}

// hear waits for the other side's ring.
func (b *bell) hear(ctx context.Context) error {
	if _, err := b.in.next(ctx); err != nil {
		return err
	}
	return b.in.restock()
}
