package agent

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/accounting/words"
	"github.com/rfaas-go/rfaas/alloc/manager"
)

// pace bounds how often changes are sent to a manager.
const pace = 100 * time.Millisecond

// Register keeps the node registered with a manager until the context ends. about is what
// the agent itself does not know: addresses, labels, version, Admin.
func (a *Agent) Register(ctx context.Context, m *manager.Client, about manager.Node) error {
	changed := make(chan struct{}, 1)
	done := make(chan struct{})
	defer close(done)
	go func() {
		for {
			select {
			case <-a.changed:
			case <-done:
				return
			}
			select {
			case changed <- struct{}{}:
			default:
			}
			select {
			case <-time.After(pace):
			case <-done:
				return
			}
		}
	}()
	var reporting sync.WaitGroup
	defer reporting.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	reporting.Go(func() { a.report(ctx, m) })
	a.setManager(m)
	defer a.setManager(nil)
	return m.Keep(ctx, func() manager.Node { return a.describe(about) }, changed)
}

// report tells the manager what was used, if it wants to know.
func (a *Agent) report(ctx context.Context, m *manager.Client) {
	for len(m.Accounting()) == 0 {
		select {
		case <-time.After(pace):
		case <-ctx.Done():
			return
		}
	}
	e, address := a.accountingAt(m.Accounting())
	if e == nil {
		a.log.Error("the manager keeps accounts, and none of its transports is one of this agent: usage is not reported to it", "manager", m.Accounting(), "agent", a.cfg.Transports)
		return
	}
	words.Report(ctx, words.ReporterConfig{
		Device: e.device, Node: a.cfg.Name, Epoch: a.cfg.Epoch, Token: a.cfg.ManagerToken, Logger: a.log,
		Accounts: a.meter.toReport, Told: a.meter.wasTold, Kept: a.meter.isKept,
		Dial: func(ctx context.Context) (net.Conn, error) { return a.cfg.DialManager(ctx, address) },
	})
}

// accountingAt is an address that this agent can reach, and over what.
func (a *Agent) accountingAt(all []manager.Address) (*endpoint, manager.Address) {
	for _, address := range all {
		for _, e := range a.endpoints {
			if e.device.Capabilities().Wire == address.Wire {
				return e, address
			}
		}
	}
	return nil, manager.Address{}
}

// describe completes the description of the node.
func (a *Agent) describe(n manager.Node) manager.Node {
	a.mu.Lock()
	defer a.mu.Unlock()
	free := a.node.Free()
	n.ID, n.Epoch, n.Draining = a.cfg.Name, a.cfg.Epoch, a.node.Draining()
	n.Cores, n.FreeCores, n.MemoryBytes, n.FreeBytes = len(a.cfg.Cores), free.Cores, a.cfg.MemoryBytes, free.MemoryBytes
	return n
}
