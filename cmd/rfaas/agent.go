package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// agentFlags are the flags of agent.
type agentFlags struct {
	name       string
	manager    string
	listen     []string
	transports []string
	cores      int
	memory     byteSize
	labels     map[string]string
	state      string
	admin      string
	notice     time.Duration
	maxLife    time.Duration
	spares     int
}

func (p *program) agentCommand() *cobra.Command {
	f := &agentFlags{}
	cmd := &cobra.Command{
		DisableFlagsInUseLine: true,
		Use:                   "agent [--manager URL]",
		Short:                 "Lease this machine's cores",
		Long: `agent offers cores of this machine. Tenants lease them directly from it, and
call functions in the processes that it starts for them: those that come with
rfaas, and those of packages, which clients send along and which are isolated.

It goes on until Ctrl-C or SIGTERM. Then it gives no more leases, and those
that there are have the time of the notice to end; with a second signal all
ends at once. 'rfaas drain' does the same from elsewhere.

When it is ready it prints its name and where it listens.`,
		Example: `  A cluster on one machine:
    rfaas manager &
    rfaas agent --manager http://` + defaultManagerAddress + ` --cores 2 &
    rfaas run --manager http://` + defaultManagerAddress + ` -f thumbnailer -o thumbnails photos/*.jpg`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, p) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.name, "name", "", "`NAME` of this node (default: that of the machine)")
	flags.StringVar(&f.manager, "manager", "", "`URL` of the manager to register with (default: none)")
	flags.StringArrayVar(&f.listen, "listen", nil, "`ADDRESS` to listen at: unix:PATH, unix:@NAME or tcp:HOST:PORT; repeat it for more (default: unix:@rfaas-agent-NAME)")
	flags.StringArrayVar(&f.transports, "transport", nil, "`URL` of a transport to offer; repeat it for more (default: shm:)")
	flags.IntVar(&f.cores, "cores", 0, "offer `N` cores (default: all that this process may use)")
	flags.Var(&f.memory, "memory", "offer so much memory, `SIZE` (default: three quarters of the machine's)")
	flags.StringToStringVar(&f.labels, "label", nil, "`NAME=VALUE` that clients can ask for; repeat it for more")
	flags.StringVar(&f.state, "state", "", "`DIR` for what outlives the agent (default: rfaas/agent-NAME in $XDG_STATE_HOME, or ~/.local/state)")
	flags.StringVar(&f.admin, "admin", "127.0.0.1:0", "`ADDRESS` at which the owner can list and end leases")
	flags.DurationVar(&f.notice, "notice", 5*time.Second, "`TIME` that a lease has when it is revoked")
	flags.DurationVar(&f.maxLife, "max-life", time.Minute, "longest `TIME` for which a lease goes on without a word of its client")
	flags.IntVar(&f.spares, "spares", 1, "keep `N` processes ready for leases")
	return cmd
}

func (f *agentFlags) run(cmd *cobra.Command, p *program) (err error) {
	cfg, err := f.config(p)
	if err != nil {
		return err
	}
	state, err := agent.OpenState(f.state)
	if err != nil {
		return err
	}
	defer state.Close()
	cfg.State = state
	if cfg.Packages, err = openPackageCache(p.logging.log); err != nil {
		return err
	}
	a, err := agent.New(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	if err := a.Offer([32]byte{}, ownProgram()); err != nil {
		return err
	}
	drained, atOnce, release := interruption(cmd.Context(), func() {
		fmt.Fprintf(p.meter, "%s: draining: leases have %v; Ctrl-C again ends at once\n", cmd.CommandPath(), f.notice)
	})
	defer release()
	serving, stopServing := context.WithCancel(atOnce)
	defer stopServing()
	about, err := f.serve(serving, a, p)
	if err != nil {
		return err
	}
	admin, err := net.Listen("tcp", f.admin)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --admin", err)
	}
	about.Admin = "http://" + admin.Addr().String()
	go serveHTTP(serving, admin, a, func() {})
	if f.manager != "" {
		m, err := manager.NewClient(f.manager, nil)
		if err != nil {
			return usageError("--manager %s: %w", f.manager, err)
		}
		m.Logger = p.logging.log
		registered := make(chan error, 1)
		go func() { registered <- a.Register(serving, m, about) }()
		defer func() { stopServing(); err = errors.Join(err, <-registered) }()
	}
	if err := f.announce(cmd.OutOrStdout(), about); err != nil {
		return err
	}
	<-drained.Done()
	ctx, cancel := context.WithTimeout(atOnce, f.notice+stopGrace)
	defer cancel()
	_ = a.Drain(ctx, lease.AgentEnds, "the agent is being ended") // what is left is ended at once
	return nil
}

// ownProgram is the functions that come with rfaas.
func ownProgram() *agent.Program {
	p := &agent.Program{Runtime: runtime.Go, Trusted: true}
	for _, f := range functions {
		p.Functions = append(p.Functions, executor.Function{Name: f.name, Entry: f.name, Idempotent: f.idempotent})
	}
	return p
}

// config checks the flags and fills in what was not said.
func (f *agentFlags) config(p *program) (agent.Config, error) {
	if f.name == "" {
		name, err := os.Hostname()
		if err != nil {
			return agent.Config{}, fmt.Errorf("the name of this machine: %w; give one with --name", err)
		}
		f.name = name
	}
	if len(f.listen) == 0 {
		f.listen = []string{"unix:@rfaas-agent-" + f.name}
	}
	if len(f.transports) == 0 {
		f.transports = []string{"shm:"}
	}
	if err := onlyThisMachine("--admin", f.admin); err != nil {
		return agent.Config{}, err
	}
	allowed, err := executor.AllowedCores()
	if err != nil {
		return agent.Config{}, err
	}
	switch {
	case f.cores < 0 || f.cores > len(allowed):
		return agent.Config{}, usageError("--cores %d: must be 1 to %d, which this process may use", f.cores, len(allowed))
	case f.cores == 0:
		f.cores = len(allowed)
	}
	if f.memory == 0 {
		var info unix.Sysinfo_t
		if err := unix.Sysinfo(&info); err != nil {
			return agent.Config{}, fmt.Errorf("asking how much memory there is: %w; say how much to offer with --memory", err)
		}
		f.memory = byteSize(int64(info.Totalram) * int64(info.Unit) / 4 * 3)
	}
	if f.state == "" {
		if f.state, err = stateFolder(f.name); err != nil {
			return agent.Config{}, err
		}
	}
	if f.notice < 0 || f.maxLife <= 0 || f.spares < 0 {
		return agent.Config{}, usageError("--notice, --max-life and --spares: must not be negative, nor --max-life 0")
	}
	return agent.Config{
		Name: f.name, Transports: f.transports, Cores: allowed[:f.cores], MemoryBytes: int64(f.memory), MaxLife: f.maxLife, Notice: f.notice,
		Compile: compilePackage, Spares: f.spares,
		Command: append([]string{executor.ThisProgram}, executorArgs(&p.logging)...), Output: p.meter, Logger: p.logging.log,
	}, nil
}

// stateFolder is where an agent's state is kept.
func stateFolder(name string) (string, error) {
	folder := os.Getenv("XDG_STATE_HOME")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("there is no place for the agent's state: %w; give one with --state", err)
		}
		folder = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(folder, "rfaas", "agent-"+name), nil
}

// compilePackage compiles WebAssembly for executors, which have no cache.
func compilePackage(ctx context.Context, m *pack.Manifest, file *os.File) (*os.File, error) {
	if m.Runtime != runtime.Wasm {
		return nil, nil
	}
	c := &code{file: file, limits: *m}
	err := c.compile(ctx)
	return c.compiled, err
}

// serve listens at all addresses, and says where, for each transport that works there.
func (f *agentFlags) serve(ctx context.Context, a *agent.Agent, p *program) (about manager.Node, err error) {
	about.Labels, about.Version = f.labels, versionNumber()
	for _, text := range f.listen {
		network, address, ok := strings.Cut(text, ":")
		if !ok || network != "unix" && network != "tcp" {
			return about, usageError("--listen %s: give unix:PATH, unix:@NAME or tcp:HOST:PORT", text)
		}
		if network == "tcp" {
			if err := onlyThisMachine("--listen", address); err != nil {
				return about, err
			}
		}
		l, err := transport.Listen(network, address)
		if err != nil {
			return about, fmt.Errorf("--listen %s: %w", text, err)
		}
		go func() {
			defer l.Close()
			if err := a.Serve(ctx, l); err != nil && ctx.Err() == nil {
				p.logging.log.Error("no more peers are taken", "address", text, "reason", err)
			}
		}()
		for _, t := range a.Transports() {
			if network == "unix" || !t.UnixOnly {
				about.Addresses = append(about.Addresses, manager.Address{Network: network, Address: l.Addr().String(), Transport: t.Scheme})
			}
		}
	}
	if len(about.Addresses) == 0 {
		return about, usageError("--listen %s: none of the transports %s works there; shm needs unix:", strings.Join(f.listen, " "), strings.Join(f.transports, " "))
	}
	return about, nil
}

// announce says that the agent is ready.
func (f *agentFlags) announce(w io.Writer, about manager.Node) error {
	var b strings.Builder
	fmt.Fprintf(&b, "node %s: %d cores, %s of memory; owner at %s\n", f.name, f.cores, gib(int64(f.memory)), about.Admin)
	for _, a := range about.Addresses {
		fmt.Fprintf(&b, "  %s over %s:%s\n", a.Transport, a.Network, a.Address)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
