package client

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// MapOptions describes a Map. The zero value will do.
type MapOptions struct {
	// Window is how many inputs are under way at most, results not handed out
	// included: what bounds the memory. If 0, twice Config.Depth for each lane, and
	// 32 for each if that is 0, too.
	Window int
	// Unordered hands results out as they come, instead of in the order of their
	// inputs.
	Unordered bool
	// StopOnError ends the Map after the first error.
	StopOnError bool
	// Timeout is how long each attempt of a call may take, from when it is sent:
	// 0 for as long as the context.
	Timeout time.Duration
	// Room is how long results can be, in bytes: as a slot of the worker if 0, see
	// invoke.ClientConfig.SlotBytes.
	Room int
	// Metadata goes with each call.
	Metadata invoke.Metadata
}

// Map calls a function with each of the inputs and hands out a Result or an
// error for each. An error is that of one input; the others go on.
//
// Nothing happens until the loop begins. Inputs are taken on its goroutine, and
// only when there is no result to hand out, so while inputs keeps it waiting no
// results come. They are copied. When the loop is left early, the calls under
// way are given up, and nothing is left behind. When the context ends or the
// client is closed, no more inputs are taken; after the errors of those under way
// comes one for the first input that was not taken.
func Map(ctx context.Context, cl *Client, function string, inputs iter.Seq[[]byte], o MapOptions) iter.Seq2[Result, error] {
	return MapErr(ctx, cl, function, func(yield func([]byte, error) bool) {
		for in := range inputs {
			if !yield(in, nil) {
				return
			}
		}
	}, o)
}

// MapErr is Map over inputs that may be errors, which are handed out in their
// place.
func MapErr(ctx context.Context, cl *Client, function string, inputs iter.Seq2[[]byte, error], o MapOptions) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		m := &mapping{client: cl, function: function, options: o, window: cl.window(o.Window)}
		var cancel context.CancelFunc
		m.ctx, cancel = context.WithCancel(ctx)
		m.sink = make(chan *call, m.window)
		next, stop := iter.Pull2(inputs)
		defer stop()
		defer func() {
			cancel()
			for ; m.flying > 0; m.flying-- {
				<-m.sink
			}
		}()
		m.run(next, yield)
	}
}

func (cl *Client) window(wish int) int {
	if wish > 0 {
		return wish
	}
	depth := cl.cfg.Depth
	if depth == 0 {
		depth = 16
	}
	return 2 * depth * len(cl.lanes)
}

// mapping is a Map under way.
type mapping struct {
	client   *Client
	ctx      context.Context
	function string
	options  MapOptions
	window   int
	sink     chan *call
	begun    int           // inputs taken
	flying   int           // of them: those not done
	done     map[int]*call // and not handed out
	due      int           // the input whose result is to be handed out next, if ordered
}

func (m *mapping) run(next func() ([]byte, error, bool), yield func(Result, error) bool) {
	m.done = make(map[int]*call, m.window)
	for more, cut := true, false; ; {
		for m.flying > 0 && len(m.sink) > 0 {
			m.note(<-m.sink)
		}
		switch c := m.ready(); {
		case c != nil:
			delete(m.done, c.index)
			m.due++
			if !yield(c.outcome()) || c.err != nil && m.options.StopOnError {
				return
			}
		case more && m.ended() != nil:
			more, cut = false, true
		case more && m.flying+len(m.done) < m.window:
			in, err, ok := next()
			if more = ok; ok {
				m.begin(in, err)
			}
		case m.flying > 0:
			m.note(<-m.sink)
		default:
			if cut {
				yield(Result{Index: m.begun, Lane: -1}, m.rest())
			}
			return
		}
	}
}

func (m *mapping) note(c *call) {
	m.flying--
	m.done[c.index] = c
}

// ended is why no more inputs are taken.
func (m *mapping) ended() error {
	if m.client.life.Err() != nil {
		return ErrClosed
	}
	return m.ctx.Err()
}

func (m *mapping) rest() error {
	return fmt.Errorf("client: function %q: %d inputs were taken, and no more: %w", m.function, m.begun, m.ended())
}

// ready is a call whose result can be handed out.
func (m *mapping) ready() *call {
	if !m.options.Unordered {
		return m.done[m.due]
	}
	for _, c := range m.done {
		return c
	}
	return nil
}

// begin starts the call of an input.
func (m *mapping) begin(in []byte, err error) {
	c := &call{function: m.function, in: append([]byte(nil), in...), room: m.options.Room, fresh: true, sink: m.sink, index: m.begun, timeout: m.options.Timeout, metadata: m.options.Metadata}
	m.begun++
	m.flying++
	if err != nil {
		c.finish(err)
		return
	}
	m.client.begin(m.ctx, c)
	m.client.bind(m.ctx, c)
	if err := m.client.submit(c, false); err != nil {
		c.finish(c.failure(c.givenUp(err, startedNo, "the call was not sent")))
	}
}
