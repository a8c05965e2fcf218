package benchmarks

import (
	"context"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// A sink grants as many sends as it has receives posted, so that none meets an
// empty queue: first all of them, then a share each time it has taken and posted
// again so many.
type creditWindow struct{ slots, share int }

func newCreditWindow(size, depth int) creditWindow {
	count := newSlots(size, 2*depth).count
	return creditWindow{count, max(count/4, 1)}
}

// creditDepth bounds the credits under way: no more than the window has shares,
// and one for the remainder at the end of a run.
const creditDepth = 16

// creditedSide is the measuring side of send-bw.
type creditedSide struct {
	*pipeline
	credits *receiver
	window  creditWindow
}

func newCreditedStream(ctx context.Context, s *session) (loop, error) {
	size, depth := s.params.SizeBytes, s.params.Depth
	bufs := bulkSlots(size, depth)
	e, err := newEnd(ctx, s, endConfig{
		ops: transport.Ops(transport.OpSend), own: bufs.bytes(), inbox: creditDepth,
		sendDepth: depth, recvDepth: creditDepth,
	})
	if err != nil {
		return nil, err
	}
	fill(e.own.Bytes(), targetMark)
	b := &creditedSide{window: newCreditWindow(size, depth)}
	b.pipeline = newPipeline(e, depth, func(slot int) transport.WorkRequest {
		return transport.Send(0, e.own.Span(bufs.offset(slot), size))
	})
	b.credits, err = newReceiver(e, creditDepth, func(slot int) transport.WorkRequest {
		return transport.Recv(uint64(slot), e.inbox.Span(slot, 1))
	})
	return b.run, err
}

func (b *creditedSide) run(ctx context.Context, n int, _ *samples) error {
	granted, sent := b.window.slots, 0
	for confirmed := 0; confirmed < n; {
		if sent < n && sent < granted {
			posted, err := b.post(ctx, min(n, granted)-sent)
			if err != nil {
				return err
			}
			sent += posted
			continue
		}
		if _, err := b.credits.next(ctx); err != nil {
			return err
		}
		if err := b.credits.restock(); err != nil {
			return err
		}
		confirmed = min(confirmed+b.window.share, n)
		granted += b.window.share
	}
	return nil
}

// sink is the peer of send-bw.
type sink struct {
	*end
	slots       slots
	window      creditWindow
	ring        []transport.WorkRequest
	at          int // next slot to fill
	completions []transport.Completion
	credits     *sender
}

func newSink(ctx context.Context, s *session) (loop, error) {
	size := s.params.SizeBytes
	k := &sink{window: newCreditWindow(size, s.params.Depth), completions: make([]transport.Completion, 32)}
	k.slots = newSlots(size, k.window.slots)
	var err error
	k.end, err = newEnd(ctx, s, endConfig{
		ops: transport.Ops(transport.OpSend), own: bellBytes, inbox: k.slots.bytes(),
		sendDepth: creditDepth, recvDepth: k.slots.count,
	})
	if err != nil {
		return nil, err
	}
	k.ring = requests(k.slots.count, 0, func(slot int) transport.WorkRequest {
		return transport.Recv(uint64(slot), k.inbox.Span(k.slots.offset(slot), size))
	})
	k.credits = newSender(k.end, creditDepth, func(int) transport.WorkRequest {
		return transport.Send(0, k.own.Span(0, 1))
	})
	_, err = k.conn.PostRecv(k.ring...)
	return k.run, err
}

func (k *sink) run(ctx context.Context, n int, _ *samples) error {
	for taken, granted := 0, 0; taken < n; {
		got, err := k.receives.Wait(ctx, k.completions, k.spin)
		if err != nil {
			return err
		}
		if err := k.take(k.completions[:got]); err != nil {
			return err
		}
		taken += got
		for taken-granted >= k.window.share || taken == n && granted < n {
			if err := k.grant(ctx); err != nil {
				return err
			}
			granted += k.window.share
		}
	}
	return nil
}

var errOutOfTurn = errors.New("a receive completed out of turn")

// take looks at messages and posts their receives again.
func (k *sink) take(arrived []transport.Completion) error {
	for i := range arrived {
		c := &arrived[i]
		if c.Status != transport.StatusOK {
			return k.failed(c)
		}
		if c.ID != uint64((k.at+i)%len(k.ring)) {
			return errOutOfTurn
		}
		message := k.slots.of(k.inbox.Bytes(), int(c.ID))
		if int(c.Bytes) != k.slots.size || !stamped(message, targetMark) {
			return fmt.Errorf("a message arrived damaged: %d bytes of %d, ends %#x and %#x instead of %#x",
				c.Bytes, k.slots.size, message[0], message[len(message)-1], targetMark)
		}
		stamp(message, 0)
	}
	for left := len(arrived); left > 0; {
		n := min(left, len(k.ring)-k.at)
		posted, err := k.conn.PostRecv(k.ring[k.at : k.at+n]...)
		k.at = (k.at + posted) % len(k.ring)
		left -= posted
		if err != nil {
			return err
		}
	}
	return nil
}

// grant allows the measuring side a share more.
func (k *sink) grant(ctx context.Context) error {
	if err := k.credits.send(ctx); err != nil {
		return err
	}
	return k.credits.reap()
}
