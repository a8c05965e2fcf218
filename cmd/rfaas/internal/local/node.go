// Package local leases workers of an agent in this process, for commands without a cluster.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/transport"
)

// Config says what the node has.
type Config struct {
	Program   *agent.Program // what its workers run; the agent's from then on
	Transport string         // URL
	Device    *transport.Device
	Cores     []int           // a worker can be had for each
	Confine   *confine.Policy // see agent.Config
	Compile   func(ctx context.Context, s *executor.Supervisor, p *agent.Program) error
	Output    func(executor.OutputLine)
	Logger    *slog.Logger
}

// Node is an agent and its only tenant.
type Node struct {
	*alloc.Client
	agent *agent.Agent
}

const (
	// life is that of leases: agent and tenant are one process, and end together. It may
	// be stopped for a while, and continues then.
	life = 365 * 24 * time.Hour
	// memory is not scarce: what executors may use has limits of its own.
	memory = 1 << 50
)

// Start starts an agent that has the program, and a client of it.
func Start(ctx context.Context, cfg Config) (*Node, error) {
	a, err := agent.New(agent.Config{
		Name: "local", Transports: []string{cfg.Transport}, Cores: cfg.Cores, MemoryBytes: memory, MaxLife: life, Epoch: 1,
		Output: cfg.Output, Logger: cfg.Logger, Confine: cfg.Confine, Compile: cfg.Compile,
	})
	if err != nil {
		return nil, err
	}
	if err := a.Offer(ctx, [32]byte{}, cfg.Program); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	n := &Node{agent: a}
	n.Client, err = alloc.Open(ctx, alloc.Config{
		Device: cfg.Device, Agents: []string{"unix:@local"}, Logger: cfg.Logger,
		Dial: func(context.Context, string) (net.Conn, error) { return a.Stream() },
	})
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return n, nil
}

// Lease is alloc.Client.Lease.
func (n *Node) Lease(ctx context.Context, o alloc.Order) (*alloc.Pool, error) {
	o.Life = life
	return n.Client.Lease(ctx, o)
}

// Process is the process that a worker has, or had last, and its processors; 0 if there
// was none.
func (n *Node) Process(w alloc.Worker) (pid int, cores []int) {
	return n.agent.Process(w.Lease, w.Number)
}

// Close ends workers, agent and client.
func (n *Node) Close() error { return errors.Join(n.Client.Close(), n.agent.Close()) }

// How says how a worker was lost, in words for the user, and how its function gets more
// of what it had too little of: by flags of the command, or for a package, which has limits
// of its own, by those of rfaas pack.
func How(e *alloc.LostError, bare bool) string {
	more := ""
	switch e.Reason {
	case lease.WorkerOverran:
		return e.How + "; allow more with --slot-bytes"
	case lease.WorkerOutOfMemory:
		more = "--memory"
	case lease.WorkerOverstayed:
		more = "--time-limit"
	case lease.WorkerOverflowed:
		more = "--stack"
	default:
		return e.How
	}
	if bare {
		return e.How + "; allow more with " + more
	}
	return e.How + "; allow its package more with rfaas pack " + more
}

// Late is the error of a call that took too long, in words for the user: longer than the
// timeout, or than the limit of its code. bare is that of How.
func Late(e *invoke.Error, timeout time.Duration, bare bool) string {
	limit := "more to the package (rfaas pack --time-limit)"
	if bare {
		limit = "--time-limit"
	}
	return fmt.Sprintf("not done in time: %s; allow more with --timeout (%v), or %s", e.Message, timeout, limit)
}

// TooLarge is the error of a call that was too large, in words for the user. moreRoom says
// how a result gets more room.
func TooLarge(e *invoke.Error, moreRoom string) string {
	said, _, _ := strings.Cut(e.Message, "; ") // the rest is for programs
	return fmt.Sprintf("too large: %s; allow more with %s", said, moreRoom)
}
