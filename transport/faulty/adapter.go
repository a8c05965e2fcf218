package faulty

import (
	"fmt"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

func init() {
	transport.RegisterDecorator("faulty", func(inner transport.Adapter, params url.Values) (transport.Adapter, error) {
		cfg, err := parse(params)
		if err != nil {
			return nil, err
		}
		return New(inner, cfg)
	}, parameterNames()...)
}

// New makes an adapter that does what inner does, with faults. It takes
// ownership of inner. It fails when cfg is out of range.
func New(inner transport.Adapter, cfg Config) (transport.Adapter, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	a := &adapter{Adapter: inner, cfg: cfg, start: time.Now(), queuePairs: map[uint32]*queuePair{}}
	a.observes = cfg.QueueFull > 0 || cfg.RecvFull > 0 || cfg.Status > 0
	if shared, ok := inner.(transport.SharedReceiver); ok {
		return &sharingAdapter{adapter: a, inner: shared}, nil
	}
	return a, nil
}

// adapter decorates an adapter. Protection domains and regions are those of the
// inner adapter: no faults there.
type adapter struct {
	transport.Adapter
	cfg      Config
	injected counters
	observes bool // completions have to be looked at
	start    time.Time

	mu         sync.RWMutex
	queuePairs map[uint32]*queuePair // those that may still complete something
	queues     uint32                // completion queues made
	shared     uint32                // shared receive queues made

	drained struct { // locked after mu
		sync.Mutex
		queuePairs []*queuePair // to be taken out of queuePairs
	}

	draining struct { // queue pairs that the provider is done with
		sync.Mutex
		queuePairs []*queuePair
		count      atomic.Int64
	}
}

// now is the moment, counted from the making of the adapter.
func (a *adapter) now() time.Duration { return time.Since(a.start) }

// Unwrap is the adapter inside.
func (a *adapter) Unwrap() transport.Adapter { return a.Adapter }

func (a *adapter) Capabilities() transport.Capabilities {
	caps := a.Adapter.Capabilities()
	caps.Notes = append(slices.Clip(caps.Notes), fmt.Sprintf("faults are injected on purpose: %v", a.cfg))
	if a.cfg.slow() {
		// Memory is written at once: a program that watches it would not notice.
		caps.Features &^= transport.FeatureWatchMemory
		caps.Notes = append(caps.Notes, "the network is slow on purpose: completions come late, but memory is written at once, so that it cannot be watched instead of polling")
	}
	return caps
}

// observe looks at completions on their way to the program.
func (a *adapter) observe(cs []transport.Completion) {
	if !a.observes {
		return
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	for i := range cs {
		if q := a.queuePairs[cs[i].Conn]; q != nil {
			q.observe(&cs[i])
		}
	}
}

// errorf is an error that names the injected fault, and the seed that repeats it.
func (a *adapter) errorf(format string, args ...any) error {
	return fmt.Errorf("injected by faulty, seed %d: %s", a.cfg.Seed, fmt.Sprintf(format, args...))
}
