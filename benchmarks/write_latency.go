package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

func init() {
	add(&test{
		name:  "write-lat",
		about: "round trip of a one-sided write each way; both sides watch memory for the last byte",
		modes: []string{Hot}, modesWhy: "it spins on memory; write-imm-lat has something to sleep on",
		defaultSize: 64, minSize: 1, maxSize: maxSize,
		iterations: latencyIterations, baseline: answered,
		measure: newWriteLatency, serve: newWriteLatency,
	})
}

// latencyRing is how many buffers a latency test sends from, at most.
const latencyRing = 32

// writeLatency is either side of write-lat, as in perftest's ib_write_lat: a
// byte that differs from message to message ends each of them.
type writeLatency struct {
	*end
	out   *sender
	sent  [][]byte // by slot of out: what is sent
	leads bool     // the measuring side
	round byte     // of the message last sent or awaited
	pace  pace

	first, last *atomic.Uint64 // the words of the landing with the message's ends
	poll        bool           // memory moves only while somebody polls
}

func newWriteLatency(ctx context.Context, s *session) (side, error) {
	size := s.params.SizeBytes
	// The message ends with a word, which providers store last and in one piece.
	landing := (size + wordBytes - 1) &^ (wordBytes - 1)
	bufs := newSlots(size, latencyRing)
	inline := inlineBytes(s.device, size)
	e, err := newEnd(ctx, s, endConfig{
		ops: transport.Ops(transport.OpWrite),
		own: bufs.bytes(), landing: landing, access: transport.RemoteWrite,
		sendDepth: bufs.count, recvDepth: 1, inline: inline,
	})
	if err != nil {
		return nil, closing(e, err)
	}
	if int(e.far.Len) != landing {
		return nil, closing(e, fmt.Errorf("the peer granted %d bytes", e.far.Len))
	}
	w := &writeLatency{end: e, sent: bufs.all(e.own.Bytes(), bufs.count), leads: s.peer != nil, pace: newPace(size),
		first: e.landing.Uint64(0), last: e.landing.Uint64(landing - wordBytes),
		poll: !e.device.Capabilities().Features.Has(transport.FeatureWatchMemory),
	}
	w.out = newSender(e, bufs.count, func(slot int) transport.WorkRequest {
		wr := transport.Write(0, e.own.Span(bufs.offset(slot), size), e.far.Slice(landing-size, size))
		if inline > 0 {
			wr = wr.With(transport.Inline)
		}
		return wr
	})
	return w, nil
}

// closing closes an end that could not be set up, and passes the error on.
func closing(e *end, err error) error {
	if e != nil {
		e.close()
	}
	return err
}

func (w *writeLatency) run(ctx context.Context, n int, out *samples) error {
	if !w.leads {
		return w.echo(ctx, n)
	}
	var took int64
	last := clock()
	for i := range n {
		w.round++
		if err := w.put(ctx); err != nil {
			return err
		}
		if i > 0 {
			out.add(took) // while the next message is under way
		}
		if err := w.pace.ended(ctx, i); err != nil {
			return err
		}
		if err := w.out.reap(); err != nil {
			return err
		}
		if err := w.await(ctx); err != nil {
			return err
		}
		now := clock()
		took, last = now-last, now
	}
	out.add(took)
	return nil
}

func (w *writeLatency) echo(ctx context.Context, n int) error {
	for range n {
		w.round++
		if err := w.await(ctx); err != nil {
			return err
		}
		if err := w.put(ctx); err != nil {
			return err
		}
		if err := w.out.reap(); err != nil {
			return err
		}
	}
	return nil
}

// put writes the message of this round to the peer.
func (w *writeLatency) put(ctx context.Context) error {
	slot, err := w.out.slot(ctx)
	if err != nil {
		return err
	}
	stamp(w.sent[slot], w.round)
	return w.out.post(slot)
}

// await spins until the last byte of this round's message is there, and loads
// the first one, too, which may land later.
func (w *writeLatency) await(ctx context.Context) error {
	for looks := 1; lastByte(w.last.Load()) != w.round; looks++ {
		if w.poll {
			if _, err := w.receives.Poll(w.out.completions); err != nil {
				return err
			}
		}
		if looks%looksPerCheck == 0 {
			if err := w.check(ctx); err != nil {
				return err
			}
		}
	}
	w.first.Load()
	return nil
}

// lastByte is the byte of a word at the highest address; the project runs on
// little-endian machines only.
func lastByte(word uint64) byte { return byte(word >> (8 * (wordBytes - 1))) }

// looksPerCheck is how often a loop looks at memory before it looks whether
// there is any hope: a few microseconds.
const looksPerCheck = 4096

// check looks whether waiting still makes sense.
func (w *writeLatency) check(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := w.conn.Err(); err != nil {
		if errors.Is(err, transport.ErrPeerClosed) {
			return fmt.Errorf("%w before it had answered", err)
		}
		return err
	}
	return nil
}
