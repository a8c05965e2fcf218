package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// The invocation tests call a function that does nothing, so that what they
// measure is the price of the call. It does not look at its input.

// invokeSlotBytes makes slots as large as the inputs, and not too small to be
// slots. Inputs beyond mostInvokeSlot are not sent in slots: the worker reads
// them.
func invokeSlotBytes(size int) int { return min(max(size, 1024), mostInvokeSlot) }

const mostInvokeSlot = 1 << 20

// invokeSlots is how many calls are in flight at each worker: fewer than asked
// for when their inputs are large, as in the other bandwidth tests.
func invokeSlots(p params) int { return newSlots(p.SizeBytes, p.Depth).count }

// noop is what the workers' function is called.
const noop = "noop"

// invokeWorkers is the peer: workers, each with one client, that run until the
// end of the session.
type invokeWorkers struct {
	newMeter func(transport.Peer, []byte) invoke.Meter // nil: calls are not counted
	workers  []*invoke.Worker
	ended    chan error  // what Serve returned, of each
	failed   atomic.Bool // one of them ended by itself
	calls    uint64      // that have been asked for so far
}

func newInvokeWorkers(ctx context.Context, s *session) (loop, error) {
	return (&invokeWorkers{}).started(ctx, s)
}

func (w *invokeWorkers) started(ctx context.Context, s *session) (loop, error) {
	w.ended = make(chan error, s.params.Workers)
	s.cleanup(w.close)
	return w.run, w.start(ctx, s)
}

func (w *invokeWorkers) start(ctx context.Context, s *session) error {
	functions := invoke.NewRegistry()
	err := functions.Register(noop, func(context.Context, []byte, []byte) (int, error) { return 0, nil }, invoke.Idempotent(true))
	if err != nil {
		return err
	}
	core, err := s.peerCore()
	if err != nil {
		return err
	}
	for range s.params.Workers {
		worker, err := invoke.NewWorker(s.device, functions, invoke.WorkerConfig{
			Slots: invokeSlots(s.params), SlotBytes: invokeSlotBytes(s.params.SizeBytes), MaxClients: 1, Mode: invokeMode(s.params.Mode), NewMeter: w.newMeter,
		})
		if err != nil {
			return err
		}
		w.workers = append(w.workers, worker)
		w.serve(worker, core)
		core = anyCPU // the first worker has the peer's core, the kernel places the others
		request, err := s.request(ctx)
		if err != nil {
			return err
		}
		if err := worker.Admit(ctx, request); err != nil {
			return err
		}
	}
	w.calls = uint64(len(w.workers)) // each client looks the function up
	return nil
}

// serve runs a worker on a core of its own. It does not end with the context of
// a run, but with close.
func (w *invokeWorkers) serve(worker *invoke.Worker, core int) {
	go func() {
		err := onCore(core, func() error { return worker.Serve(context.Background(), nil) })
		w.failed.Store(true)
		w.ended <- err
	}()
}

// invokeLook is how often the peer looks whether all calls were made: seldom, as
// it shares the worker's core.
const invokeLook = 10 * time.Millisecond

// run waits until the workers have executed n calls more.
func (w *invokeWorkers) run(ctx context.Context, n int, _ *samples) error {
	w.calls += uint64(n)
	for {
		executed := uint64(0)
		for _, worker := range w.workers {
			executed += worker.Stats().Calls
		}
		switch {
		case executed >= w.calls:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case w.failed.Load():
			return fmt.Errorf("a worker ended after %d of %d calls", executed, w.calls)
		}
		time.Sleep(invokeLook)
	}
}

func (w *invokeWorkers) close() error {
	var errs []error
	for _, worker := range w.workers {
		errs = append(errs, worker.Close())
	}
	for range w.workers {
		errs = append(errs, <-w.ended)
	}
	return errors.Join(errs...)
}

// invokeClients is what the measuring sides have in common: a client of each
// worker.
type invokeClients []caller

func newInvokeClients(ctx context.Context, s *session) (invokeClients, error) {
	cores, err := allowedCPUs()
	if err != nil {
		return nil, err
	}
	if need := s.params.Workers + 1; s.params.Mode == Hot && need > len(cores) && s.params.PeerCPU != anyCPU {
		return nil, fmt.Errorf("--mode hot: needs a core for the client and for each worker, %d, and %d are allowed to this process; use --mode adaptive", need, len(cores))
	}
	var clients invokeClients
	input := make([]byte, s.params.SizeBytes)
	for range s.params.Workers {
		stream, err := s.dial(ctx)
		if err != nil {
			return nil, err
		}
		client, err := invoke.Connect(ctx, s.device, stream, invoke.ClientConfig{
			Slots: invokeSlots(s.params), SlotBytes: invokeSlotBytes(s.params.SizeBytes), Mode: invokeMode(s.params.Mode),
		})
		if err != nil {
			return nil, err
		}
		s.cleanup(client.Close)
		f, err := client.Function(ctx, noop)
		if err != nil {
			return nil, err
		}
		clients = append(clients, caller{client: client, function: f, in: input})
	}
	return clients, nil
}

// newInvokeLatency calls, waits, and calls again.
func newInvokeLatency(ctx context.Context, s *session) (loop, error) {
	c, err := newInvokeClients(ctx, s)
	if err != nil {
		return nil, err
	}
	return c[0].run, nil
}

// invokeRate keeps a ring of calls in flight, in batches that are posted
// together, those of all workers by turns. It always waits for the oldest batch.
type invokeRate struct {
	clients     invokeClients
	batch, ring int // calls
	inputs      [][]byte
	futures     []invoke.Future
}

func newInvokeRate(ctx context.Context, s *session) (loop, error) {
	c, err := newInvokeClients(ctx, s)
	if err != nil {
		return nil, err
	}
	batch, depth := batches(invokeSlots(s.params))
	r := &invokeRate{clients: c, batch: batch, ring: depth * len(c), inputs: slices.Repeat([][]byte{c[0].in}, batch)}
	r.futures = make([]invoke.Future, r.ring)
	return r.run, nil
}

func (r *invokeRate) run(ctx context.Context, n int, _ *samples) error {
	begun, done := 0, 0 // calls; all batches are whole but the last one
	for next, oldest, worker := 0, 0, 0; done < n; {
		if begun < n && begun-done < r.ring {
			size := min(r.batch, n-begun)
			c := &r.clients[worker]
			if _, err := c.client.GoBatch(ctx, c.function, r.inputs[:size], r.futures[next:]); err != nil {
				return err
			}
			begun += size
			if next += r.batch; next == r.ring {
				next = 0
			}
			if worker++; worker == len(r.clients) {
				worker = 0
			}
			continue
		}
		size := min(r.batch, n-done)
		for i := range r.futures[oldest : oldest+size] {
			if _, err := r.futures[oldest+i].Wait(ctx, nil); err != nil {
				return err
			}
		}
		done += size
		if oldest += r.batch; oldest == r.ring {
			oldest = 0
		}
	}
	return nil
}

// invokeBandwidth does the same with buffers.
type invokeBandwidth struct {
	clients invokeClients
	size    int
	buffers []*invoke.Buffer
}

func newInvokeBandwidth(ctx context.Context, s *session) (loop, error) {
	c, err := newInvokeClients(ctx, s)
	if err != nil {
		return nil, err
	}
	b := &invokeBandwidth{clients: c, size: s.params.SizeBytes}
	for i := range invokeSlots(s.params) * len(c) {
		buffer, err := c[i%len(c)].client.NewBuffer(b.size, 0)
		if err != nil {
			return nil, err
		}
		fill(buffer.In(), targetMark) // no page is touched for the first time later
		b.buffers = append(b.buffers, buffer)
	}
	return b.run, nil
}

func (b *invokeBandwidth) run(ctx context.Context, n int, _ *samples) error {
	depth, workers := len(b.buffers), len(b.clients)
	for slot, i := 0, 0; i < n+depth; i++ {
		if i >= depth && i-depth < n {
			if _, err := b.buffers[slot].Wait(ctx); err != nil {
				return err
			}
		}
		if i < n {
			if err := b.buffers[slot].Go(ctx, b.clients[slot%workers].function, b.size); err != nil {
				return err
			}
		}
		if slot++; slot == depth {
			slot = 0
		}
	}
	return nil
}
