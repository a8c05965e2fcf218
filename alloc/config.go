package alloc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/user"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/internal/names"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/transport"
)

// Config describes a client.
type Config struct {
	// Device is what agents and workers are reached over. It remains the caller's.
	Device *transport.Device
	// Memory, if set, is where inputs and results can be that calls are not to copy: of Device,
	// and closed before it, after the client. See invoke.Memory.
	Memory *invoke.Memory
	// Agents are addresses: "unix:/path", "unix:@name", "tcp:host:port" of the loopback,
	// "tls:host:port".
	Agents []string
	// Manager is the URL of one that knows agents, instead of Agents; HTTP is what to ask
	// it with, see manager.NewClient.
	Manager string
	HTTP    *http.Client
	// Dial opens a stream to an address as in Agents, for agents and for their workers. By
	// default it is what the address says; it refuses to reach beyond the loopback without
	// TLS, and Unix sockets at which another user but root listens.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// TLS is for agents that are reached with it; nil: as tls.Config's zero value. It must
	// not be changed afterwards. HTTP has its own.
	TLS *tls.Config
	// Tenant is who pays, Token what proves it: at most lease.MaxTokenBytes, which agents
	// see. By default the tenant is the user's name, which is enough for an agent on this
	// machine.
	Tenant string
	Token  []byte
	// Logger gets messages about leases. It may be nil.
	Logger *slog.Logger
}

func (c *Config) complete() error {
	if (len(c.Agents) == 0) == (c.Manager == "") {
		return errors.New("alloc: name either the addresses of agents, or a manager's URL")
	}
	if c.Memory != nil && c.Memory.Device() != c.Device {
		return errors.New("alloc: Config.Memory is of another device than Config.Device")
	}
	for _, a := range c.Agents {
		if err := checkAddress(a); err != nil {
			return err
		}
	}
	if c.Dial == nil {
		c.Dial = c.dial
	}
	if c.Tenant == "" {
		c.Tenant = "nobody"
		if u, err := user.Current(); err == nil && names.Check(u.Username) == nil {
			c.Tenant = u.Username
		}
	}
	if err := names.Check(c.Tenant); err != nil {
		return fmt.Errorf("alloc: the tenant: %w", err)
	}
	if len(c.Token) > lease.MaxTokenBytes {
		return fmt.Errorf("alloc: the token has %d bytes: must have %d at most", len(c.Token), lease.MaxTokenBytes)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Order is what is wanted.
type Order struct {
	// Workers is how many processes execute calls, each one call at a time: 1 if 0.
	Workers int
	// AtLeast is with how many workers the pool begins when there are no more to be had at
	// once: all if 0.
	AtLeast int
	// Cores is how many cores each has for itself: 1 if 0.
	Cores int
	// MemoryBytes is what the code of each worker may use; 0: what its package says.
	MemoryBytes int64
	// Package is the code; an agent that lacks it is sent it. It remains the caller's, open
	// until the pool is closed. nil: what has the Digest; if that is zero, the functions
	// that come with the agents.
	Package *pack.Package
	Digest  pack.Digest
	// Slots, SlotBytes and PayloadBytes are those of invoke.WorkerConfig: 8 slots of 64 KiB,
	// and nothing beyond them, if 0.
	Slots, SlotBytes int
	PayloadBytes     int64
	// Mode is how workers wait for calls.
	Mode invoke.Mode
	// Life is how long a lease lives without a renewal by the client: 10 s if 0.
	Life time.Duration
	// Labels are what a node must have: see manager.Node.
	Labels map[string]string
	// Pack: few nodes with many workers each. Otherwise they are spread.
	Pack bool
	// Idle is after how long without calls workers are given back, and leased again when
	// calls wait: a lease ends when none of its workers is in use. 0 for never.
	Idle time.Duration
	// Calls says how calls are made over the workers; its Lanes, Dial, Idle and Memory
	// are set here.
	Calls client.Config
	// OnWorker is called with each worker that a lane gets, the first and those in its
	// place, on the lane's goroutine. It may be nil.
	OnWorker func(lane int, w Worker)
}

// Worker is a process of a lease.
type Worker struct {
	Node   string
	Lease  lease.ID
	Number int // from 0
}

const (
	defaultSlots     = 8
	defaultSlotBytes = 64 << 10
	defaultLife      = 10 * time.Second
)

// complete fills in what was not chosen.
func (o *Order) complete() {
	choose := func(n *int, otherwise int) {
		if *n == 0 {
			*n = otherwise
		}
	}
	choose(&o.Workers, 1)
	choose(&o.AtLeast, o.Workers)
	choose(&o.Cores, 1)
	choose(&o.Slots, defaultSlots)
	choose(&o.SlotBytes, defaultSlotBytes)
	if o.Life == 0 {
		o.Life = defaultLife
	}
	if o.Package != nil {
		o.Digest = o.Package.Digest()
		if o.MemoryBytes == 0 {
			o.MemoryBytes = o.Package.Manifest().MemoryBytes
		}
	}
}

// terms are the order's for a number of workers.
func (o *Order) terms(workers int) lease.Terms {
	return lease.Terms{
		Workers: workers, Cores: o.Cores, MemoryBytes: o.MemoryBytes, Slots: o.Slots, SlotBytes: o.SlotBytes, PayloadBytes: o.PayloadBytes,
		Spin: o.Mode.Spin(), Digest: o.Digest,
	}
}
