package invoke

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// WorkerConfig describes a worker. The zero value will do.
type WorkerConfig struct {
	// Slots and SlotBytes are the most that a client is granted: 16 and 64 KiB if
	// 0. A client costs two times its Slots x (SlotBytes + 64) bytes here, of
	// which only what is used is memory.
	Slots, SlotBytes int
	// CallBytes, ClientBytes and TotalBytes bound the memory that the worker sets
	// aside for inputs and results beyond the slots: of one call (input and room
	// for the result together; a longer one is answered with StatusTooLarge), of
	// one client, whose calls wait for each other, and of all clients (beyond it:
	// StatusBusy). If 0: CallBytes as ClientBytes, and these 1 GiB and 4 GiB, or more if
	// the others are set to more. Only what is used is memory; what
	// is unused for 5 s is given back. CallBytes < 0: no such calls.
	CallBytes, ClientBytes, TotalBytes int64
	// MaxClients bounds the clients connected at once: 256 if 0. Others are
	// refused with StatusBusy.
	MaxClients int
	// Mode is how the worker waits for requests.
	Mode Mode
	// Concurrency is how many functions run at once, of all clients: 1 if 0. With more,
	// each runs on a goroutine of its own, which costs a call some microseconds: it is
	// for functions that wait. Calls are then answered in any order.
	Concurrency int
	// Authorize, if set, is asked about every client, before anything is set
	// aside for it; token is ClientConfig.Token, and not to be kept. An error
	// refuses the client and is told to it. Without it the transport's rule
	// holds: see transport.ConnConfig.
	Authorize func(ctx context.Context, peer transport.Peer, token []byte) error
	// NewMeter, if set, makes a Meter for every client that is admitted. It may
	// return nil.
	NewMeter func(peer transport.Peer, token []byte) Meter
	// Canceled, if set, is called when a client gives a call up whose function runs:
	// for functions that do not look at their context, which has ended then. running
	// says whether the call still does; it may be called from anywhere, also later.
	// Canceled is called from a goroutine of the client's connection, and must not wait.
	Canceled func(running func() bool)
	// Logger gets a record of each client that connects, leaves or is refused (by Serve;
	// Admit returns the reason), and of each crash of a function. It may be nil.
	Logger *slog.Logger

	memoryIdle time.Duration // for tests; 5 s if 0
}

const (
	defaultClients = 256
	mostClients    = 1 << 16
)

// Worker executes functions for clients, one call at a time unless its configuration
// says otherwise. Its methods may be called from anywhere.
type Worker struct {
	dev        *transport.Device
	registry   *Registry
	limit      layout
	rendezvous rendezvousLimits
	part       uint32 // the most bytes of a payload that are moved at once
	max        int    // clients
	cfg        WorkerConfig
	log        *slog.Logger
	spin       time.Duration

	// All clients' requests complete into requestQueue, which is what the loop
	// waits for. Completions of replies only free entries of send queues: see Client.
	requestQueue, sendQueue *transport.Queue

	// attention is set, and the loop woken, when there is something in the fields
	// below for it.
	attention atomic.Bool
	life      context.Context // until Close
	end       context.CancelFunc
	returned  chan struct{}  // has an element when a function has, of those beside the loop
	ended     chan struct{}  // closed when everything was freed
	admitted  sync.WaitGroup // clients admitted and not freed

	mu        sync.Mutex
	serving   bool
	closed    bool
	draining  chan struct{} // by Drain: to be closed when nothing runs any more
	clients   int           // the number of them in admitted
	noClients chan struct{} // by Shutdown: to be closed when there are none
	executed  []*execution  // for the loop: their functions have returned
	arrived   []*session    // for the loop
	connected map[*session]struct{}
	sleep     context.Context
	wake      context.CancelFunc // ends sleep

	_         [64]byte // what follows belongs to the loop
	loop      loop
	_         [64]byte
	published published
}

// NewWorker makes a worker that offers the functions of a registry over a
// device. Serve it, or Close it.
func NewWorker(dev *transport.Device, registry *Registry, cfg WorkerConfig) (*Worker, error) {
	limit, err := layout{cfg.Slots, cfg.SlotBytes}.withDefaults(dev.Capabilities())
	if err != nil {
		return nil, err
	}
	beyond, err := newRendezvousLimits(dev, cfg)
	if err != nil {
		return nil, err
	}
	if cfg.MaxClients == 0 {
		cfg.MaxClients = defaultClients
	}
	if cfg.MaxClients < 0 || cfg.MaxClients > mostClients {
		return nil, fmt.Errorf("invoke: MaxClients is %d; 1 to %d are possible", cfg.MaxClients, mostClients)
	}
	w := &Worker{
		dev: dev, registry: registry, limit: limit, rendezvous: beyond, part: uint32(min(partBytes, dev.Capabilities().MaxMessageBytes)), max: cfg.MaxClients, cfg: cfg, log: cfg.Logger, spin: cfg.Mode.Spin(),
		ended: make(chan struct{}), returned: make(chan struct{}, 1), connected: map[*session]struct{}{},
	}
	if cfg.Concurrency < 0 {
		return nil, fmt.Errorf("invoke: Concurrency is %d; 1 or more is possible", cfg.Concurrency)
	}
	w.life, w.end = context.WithCancel(context.Background())
	if w.log == nil {
		w.log = slog.New(slog.DiscardHandler)
	}
	w.sleep, w.wake = context.WithCancel(context.Background())
	// A connection's entries in a queue are free some time after its end: a quarter
	// more lets clients follow each other quickly.
	depth := (limit.depth() + rendezvousDepth) * (cfg.MaxClients + cfg.MaxClients/4 + 1)
	if w.requestQueue, err = dev.NewQueue(depth); err == nil {
		if w.sendQueue, err = dev.NewQueue(depth); err != nil {
			w.requestQueue.Close()
		}
	}
	if err != nil {
		w.wake()
		w.end()
		return nil, fmt.Errorf("invoke: new worker for %d clients with %d slots each: %w", cfg.MaxClients, limit.slots, err)
	}
	w.loop.init(w)
	return w, nil
}

// Serve admits the clients that dial the listener, which remains the caller's,
// and executes their calls on the calling goroutine (see Concurrency), until the context ends or
// Close is called. Then it frees everything, and returns nil. Without a
// listener clients come through Admit only. A worker is served once.
//
// Serve does not return before the functions that run have; their contexts tell them
// to hurry. A function that calls runtime.Goexit on that goroutine ends the worker.
func (w *Worker) Serve(ctx context.Context, l *transport.Listener) (err error) {
	w.mu.Lock()
	refuse := w.serving || w.closed
	w.serving = true
	w.mu.Unlock()
	if refuse {
		return fmt.Errorf("invoke: serve: %w", transport.ErrClosed)
	}
	accepting, stop := context.WithCancel(ctx)
	stopClosing := context.AfterFunc(ctx, func() { w.Close() })
	var acceptor sync.WaitGroup
	if l != nil {
		acceptor.Go(func() { w.accept(accepting, l) })
	}
	defer func() {
		stopClosing()
		stop()
		w.Close()
		acceptor.Wait()
		err = errors.Join(err, w.free())
	}()
	return w.loop.serve()
}

// Drain makes the worker answer new calls with StatusRevoked and refuse new
// clients, for good, and returns when the calls that were running have been answered and
// their results read, or with the context's cause before. Clients are told, and stay connected
// until Close, or they hang up. Shutdown does both.
func (w *Worker) Drain(ctx context.Context) error {
	w.mu.Lock()
	if w.draining == nil {
		w.draining = make(chan struct{})
		for s := range w.connected {
			s.announceDrain()
		}
	}
	drained, serving := w.draining, w.serving
	w.notify()
	w.mu.Unlock()
	if !serving {
		return nil
	}
	select {
	case <-drained:
		return nil
	case <-w.ended:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close makes Serve end the worker: the function that runs is told by its
// context, its call still answered; then all connections are closed. Close does
// not wait for that; Serve returns when it is done.
func (w *Worker) Close() error {
	w.mu.Lock()
	closed, serving := w.closed, w.serving
	if !closed {
		w.closed = true
		w.end()
		w.notify()
	}
	w.mu.Unlock()
	if !closed && !serving {
		return w.free()
	}
	return nil
}

// notify makes the loop look at what is there for it. w.mu is held.
func (w *Worker) notify() {
	w.attention.Store(true)
	w.wake()
}

// free ends everything, after the loop has.
func (w *Worker) free() error {
	w.loop.releaseAll()
	w.loop.publish()
	w.admitted.Wait()
	err := errors.Join(w.requestQueue.Close(), w.sendQueue.Close())
	w.wake()
	close(w.ended)
	return err
}

// release frees a session beside the loop, because closing a connection may take
// a while. The loop has to poll what was flushed; only then the connection's entries
// in the queues are free.
func (w *Worker) release(s *session) {
	go func() {
		s.free()
		w.mu.Lock()
		delete(w.connected, s)
		w.notify()
		w.mu.Unlock()
		w.leave()
	}()
}
