package remote_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// gate is a decorator that holds completions back while it is shut: the requests are
// under way for as long as a test wants.
type gate struct {
	transport.Adapter
	mu    sync.Mutex
	open  chan struct{} // closed while open
	waits chan struct{} // an element for each wait that found it shut
}

// openGated opens a device with a gate, which is open.
func openGated(t *testing.T, url string) (*transport.Device, *gate) {
	inner, err := transport.Open(url)
	require.NoError(t, err)
	g := &gate{Adapter: inner.Adapter(), open: make(chan struct{}), waits: make(chan struct{}, 1000)}
	close(g.open)
	dev := transport.NewDevice(inner.Name(), g)
	t.Cleanup(func() { dev.Close() })
	return dev, g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
	for len(g.waits) > 0 {
		<-g.waits
	}
}

func (g *gate) reopen() { close(g.opened()) }

func (g *gate) opened() chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

func (g *gate) isOpen() bool {
	select {
	case <-g.opened():
		return true
	default:
		return false
	}
}

func (g *gate) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	inner, err := g.Adapter.NewCQ(cfg)
	return &gatedQueue{inner, g}, err
}

func (g *gate) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	cfg.SendCQ, cfg.RecvCQ = cfg.SendCQ.(*gatedQueue).CQ, cfg.RecvCQ.(*gatedQueue).CQ
	return g.Adapter.NewQP(cfg)
}

type gatedQueue struct {
	transport.CQ
	gate *gate
}

func (q *gatedQueue) Poll(dst []transport.Completion, spins int) (int, error) {
	if !q.gate.isOpen() {
		return 0, nil
	}
	return q.CQ.Poll(dst, spins)
}

func (q *gatedQueue) Arm(solicitedOnly bool) (bool, error) {
	if !q.gate.isOpen() {
		return false, nil
	}
	return q.CQ.Arm(solicitedOnly)
}

func (q *gatedQueue) Wait(ctx context.Context) error {
	if q.gate.isOpen() {
		return q.CQ.Wait(ctx)
	}
	q.gate.waits <- struct{}{}
	select {
	case <-q.gate.opened():
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
