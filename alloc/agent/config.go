package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/names"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/transport"
)

// Config describes an agent.
type Config struct {
	// Name is the node's: 1 to 64 letters, digits and marks.
	Name string
	// Transports are URLs of what tenants and clients of workers can use.
	Transports []string
	// Cores are what is offered, by processor. executor.AnyCore stands for a core that the
	// kernel chooses, and may be repeated.
	Cores []int
	// MemoryBytes is what is offered. Memory of ended leases that their clients still have
	// mapped is not offered meanwhile, where control groups count it.
	MemoryBytes int64
	// MaxLife and Notice are those of lease.NodeConfig.
	MaxLife, Notice time.Duration
	// Quota is that of lease.NodeConfig.
	Quota func(tenant string) lease.Capacity
	// YieldLoad is how many cores' worth of processor time others than the agent and what it
	// runs may use, on the processors that this process may use, before the agent gives
	// cores back: one for each that they use beyond it, in part or whole, as a mean over 5 s.
	// Leases end for it with notice. Less than 0.1 stands for 0.1. All that this process has
	// started counts as the agent's; it has to be able to see it in /proc. The agent calls
	// Reclaim itself: do not call it then. nil: the load is not measured.
	YieldLoad *float64
	// State is what outlives the agent: its boot epochs, pages and ledger. It remains the
	// caller's, open until the agent is closed. nil: nothing does, and Epoch is the number
	// of this start.
	State *State
	Epoch uint64
	// Authenticate returns the tenant that a peer is, by its greeting, or an error, which
	// the peer gets. Any goroutine may call it. Default: Local.
	Authenticate func(peer transport.Peer, h *lease.Hello) (tenant string, err error)
	// DialManager opens a stream to the address at which a manager takes reports of usage.
	// By default it dials the address, without TLS. ManagerToken authenticates the agent
	// there.
	DialManager  func(ctx context.Context, at manager.Address) (net.Conn, error)
	ManagerToken []byte
	// Packages keeps the packages that tenants send. If nil, they cannot send any.
	Packages *pack.Cache
	// MaxPackageBytes bounds a package: 1 GiB if 0.
	MaxPackageBytes int64
	// Compile sets Compiled of a program whose executors are isolated, and may not write to a
	// cache, if there is anything to compile: the supervisor has processes for that. One
	// program is compiled at a time. It may be nil.
	Compile func(ctx context.Context, s *executor.Supervisor, p *Program) error
	// Directories are what packages may ask of the node's files, by name.
	Directories map[string]pack.Grant

	// Command, Output and Logger are those of executor.Config, Spares the number for each
	// kind of program.
	Command []string
	Output  func(executor.OutputLine)
	Logger  *slog.Logger
	Spares  int
	// Confine is how executors of packages are isolated; nil: as confine.DefaultPolicy
	// says.
	Confine *confine.Policy
	// PartialIsolation takes native code of tenants also where isolation is not complete.
	PartialIsolation bool
	// Hot is how long the agent polls for messages before it sleeps: 20 us if 0.
	Hot time.Duration

	load loadWatch // tests have another one
}

const (
	defaultPackageBytes = 1 << 30
	defaultHot          = 20 * time.Microsecond
)

func (c *Config) complete() error {
	if err := names.Check(c.Name); err != nil {
		return fmt.Errorf("agent: the name of the node: %w", err)
	}
	if len(c.Transports) == 0 {
		return errors.New("agent: no transports: name those that tenants can use")
	}
	if c.MaxPackageBytes == 0 {
		c.MaxPackageBytes = defaultPackageBytes
	}
	if c.Hot == 0 {
		c.Hot = defaultHot
	}
	if c.Authenticate == nil {
		c.Authenticate = Local
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Confine == nil {
		policy := confine.DefaultPolicy()
		c.Confine = &policy
	}
	if c.DialManager == nil {
		c.DialManager = func(ctx context.Context, at manager.Address) (net.Conn, error) {
			return transport.DialStream(ctx, at.Network, at.Address)
		}
	}
	if c.YieldLoad != nil && !(*c.YieldLoad >= 0) {
		return fmt.Errorf("agent: YieldLoad: %v cores: must be 0 or more, or nil", *c.YieldLoad)
	}
	if c.load.window == 0 {
		c.load = loadWatch{window: loadWindow, interval: loadInterval}
	}
	if c.State != nil {
		c.Epoch = c.State.Epoch
	}
	if c.Epoch > lease.MaxEpoch {
		return fmt.Errorf("agent: the epoch %d is larger than %d", c.Epoch, lease.MaxEpoch)
	}
	return nil
}

// Program is code that workers run. Its files belong to the agent from when it has the
// program.
type Program struct {
	Runtime   string              // one of invoke/runtime's names
	Functions []executor.Function // what it offers
	Code      *os.File            // see executor.Order
	Compiled  *os.File
	// MemoryBytes and TimeLimit bound it, beside what the lease says. 0: they do not.
	MemoryBytes int64
	TimeLimit   time.Duration
	StackBytes  int64 // see executor.Assignment
	Directories []executor.Directory
	Folder      string // see executor.Assignment, as for those up to Warm
	Path        string
	Env         []string
	Arguments   []string
	Warm        bool
	// Release is called when the agent does not need the program any more, and its Folder can
	// go. It may be nil.
	Release func() error
	// Trusted: as the agent itself. It is not isolated.
	Trusted bool

	received time.Duration // when it came as a package; 0: Offer
}

func (p *Program) close() {
	for _, f := range []*os.File{p.Code, p.Compiled} {
		if f != nil {
			f.Close()
		}
	}
	if p.Release != nil {
		_ = p.Release() // an error would be about the cache, and none is lost
	}
}
