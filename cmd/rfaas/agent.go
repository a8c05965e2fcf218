package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/metrics"
	"github.com/rfaas-go/rfaas/internal/names"
	"github.com/rfaas-go/rfaas/internal/tokens"
	"github.com/rfaas-go/rfaas/invoke/executor"
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
	quota      lease.Capacity // of each tenant
	quotaBytes byteSize
	labels     map[string]string
	state      string
	admin      string
	notice     time.Duration
	maxLife    time.Duration
	yieldLoad  float64
	yields     bool // yieldLoad was given
	spares     int
	partial    bool // isolation
	trust      bool // the network
	serving    serverFlags
	asking     clientFlags // of the manager
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

It runs until Ctrl-C or SIGTERM. Then it grants no more leases, and existing
ones have the time of --notice to finish; a second signal ends everything at
once. 'rfaas drain' drains it from another machine.

When it is ready it prints its name and its addresses. At --admin it also serves
metrics for Prometheus: GET /metrics, see docs/METRICS.md.

` + tokensHelp + `
Tenants and the owner need one each. Over Unix sockets tenants need none: there
the agent serves its own user and root. --token-file is this node's own, for the
manager.`,
		Example: `  A cluster on one machine:
    rfaas manager &
    rfaas agent --manager http://` + defaultManagerAddress + ` --cores 2 &
    rfaas run --manager http://` + defaultManagerAddress + ` -f thumbnailer -o thumbnails photos/*.jpg

  One that others can reach:
    rfaas agent --name n1 --manager https://head.example.org:7470 --token-file n1.token --tls-ca ca.crt \
      --listen tcp:n1.example.org:7471 --admin n1.example.org:7472 \
      --tls-cert n1.crt --tls-key n1.key --tokens tokens --transport 'softroce://192.0.2.7:0?trust-network'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, p) },
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.name, "name", "", "`NAME` of this node (default: that of the machine)")
	flags.StringVar(&f.manager, "manager", "", "`URL` of the manager to register with (default: none)")
	flags.StringArrayVar(&f.listen, "listen", nil, "`ADDRESS` to listen at: unix:PATH, unix:@NAME or tcp:HOST:PORT; repeat it for more (default: unix:@rfaas-agent-NAME)")
	flags.StringArrayVar(&f.transports, "transport", nil, "`URL` of a transport to offer; repeat it for more (default \"shm:\", or $"+transportVariable+")")
	flags.IntVar(&f.cores, "cores", 0, "offer `N` cores (default: all that this process may use)")
	flags.Var(&f.memory, "memory", "offer `SIZE` of memory (default: three quarters of the machine's)")
	flags.IntVar(&f.quota.Cores, "tenant-cores", 0, "most cores, `N`, that one tenant can have at once (default: all)")
	flags.Var(&f.quotaBytes, "tenant-memory", "most memory, `SIZE`, that one tenant can have at once (default: all)")
	flags.StringToStringVar(&f.labels, "label", nil, "`NAME=VALUE` that clients can ask for; repeat it for more")
	flags.StringVar(&f.state, "state", "", "`DIR` for what outlives the agent (default: rfaas/agent-NAME in $XDG_STATE_HOME, or ~/.local/state)")
	flags.StringVar(&f.admin, "admin", "127.0.0.1:0", "`ADDRESS` at which the owner can list and end leases, host:port")
	flags.DurationVar(&f.notice, "notice", 5*time.Second, "`TIME` that a lease has at most when it is revoked")
	flags.DurationVar(&f.maxLife, "max-life", time.Minute, "longest `TIME` that a lease lives without a renewal by its client")
	flags.Float64Var(&f.yieldLoad, "yield-load", 0, "give cores back, with notice, when other programs use more than `CORES` of those that this process may use, over 5 s (default: never)")
	flags.IntVar(&f.spares, "spares", 1, "keep `N` processes ready for leases")
	flags.BoolVar(&f.partial, "partial-isolation", false, "take native code and programs of tenants also where isolation is not complete: without root or control groups of its own (default: refuse it)")
	f.serving.add(flags)
	f.asking.add(flags)
	flags.BoolVar(&f.trust, "trust-network", false, trustUsage)
	neverZero(flags, "cores", "memory", "tenant-cores", "tenant-memory", "max-life")
	return cmd
}

func (f *agentFlags) run(cmd *cobra.Command, p *program) (err error) {
	f.yields = cmd.Flags().Changed("yield-load")
	serving, err := f.serving.open()
	if err != nil {
		return err
	}
	as, err := f.asking.open()
	if err != nil {
		return err
	}
	var m *manager.Client
	if f.manager != "" {
		if m, err = p.managerAt(f.manager, as); err != nil {
			return err
		}
	}
	cfg, err := f.config(p, serving, as)
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
	if err := a.Offer(cmd.Context(), [32]byte{}, ownProgram()); err != nil {
		return err
	}
	drained, atOnce, release := interruption(cmd.Context(), f.notice+stopGrace, func() {
		fmt.Fprintf(p.meter, "%s: draining: leases have %v at most; Ctrl-C again ends at once\n", cmd.CommandPath(), f.notice)
	})
	defer release()
	life, stopServing := context.WithCancel(atOnce)
	defer stopServing()
	about, err := f.serve(life, a, p, serving)
	if err != nil {
		return err
	}
	admin, at, err := serving.listen(f.admin)
	if err != nil {
		return fmt.Errorf("--admin %s: %w; choose another address", f.admin, withoutAddress(err))
	}
	about.Admin = serving.scheme() + "://" + at
	var owner http.Handler = a
	if serving.tokens != nil {
		owner = serving.forOwners(a)
	}
	owner = serving.withMetrics(owner, metrics.Agent(a.Stats), tokens.Owner)
	go p.serveHTTP(life, admin, owner, func() {})
	if m != nil {
		registered := make(chan error, 1)
		go func() { registered <- a.Register(life, m, about) }()
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

// config checks the flags and fills in defaults.
func (f *agentFlags) config(p *program, serving *serverCredentials, as *clientCredentials) (agent.Config, error) {
	if f.name == "" {
		name, err := os.Hostname()
		if err != nil {
			return agent.Config{}, fmt.Errorf("the name of this machine: %w; give one with --name", err)
		}
		f.name = name
	} else if err := names.Check(f.name); err != nil {
		return agent.Config{}, usageError("--name: %w", err)
	}
	if len(f.listen) == 0 {
		f.listen = []string{"unix:@rfaas-agent-" + f.name}
	}
	if err := f.checkAddresses(serving); err != nil {
		return agent.Config{}, err
	}
	transports := givenTransports(f.transports, "shm:")
	f.transports = urlsOf(transports)
	for _, t := range transports {
		if err := checkTrust(t, f.trust); err != nil {
			return agent.Config{}, err
		}
		d, err := openForWorkers(t) // the agent would do so, and say less of what is wrong
		if err != nil {
			return agent.Config{}, err
		}
		if err := d.Close(); err != nil {
			return agent.Config{}, fmt.Errorf("%s: %w", t.name(), err)
		}
	}
	allowed, err := executor.AllowedCores()
	if err != nil {
		return agent.Config{}, err
	}
	switch {
	case f.cores < 0 || f.cores > len(allowed):
		return agent.Config{}, usageError("--cores %d: must be 1 to %d: this process may use no more", f.cores, len(allowed))
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
		if f.state, err = stateFolder("agent-" + f.name); err != nil {
			return agent.Config{}, err
		}
	}
	if f.quota.Cores < 0 {
		return agent.Config{}, usageError("--tenant-cores %d: must be 1 or more", f.quota.Cores)
	}
	f.quota.MemoryBytes = int64(f.quotaBytes)
	if f.notice < 0 || f.maxLife < 0 || f.spares < 0 {
		return agent.Config{}, usageError("--notice, --max-life and --spares: must not be negative")
	}
	cfg := agent.Config{
		Name: f.name, Transports: f.transports, Cores: allowed[:f.cores], MemoryBytes: int64(f.memory), MaxLife: f.maxLife, Notice: f.notice,
		Quota: func(string) lease.Capacity { return f.quota }, Compile: compileProgram, Spares: f.spares, PartialIsolation: f.partial,
		Output: p.logging.outputTo(p.meter), Logger: p.logging.log,
	}
	if f.yields {
		if !(f.yieldLoad >= 0) {
			return agent.Config{}, usageError("--yield-load %v: must be a number of cores, 0 or more", f.yieldLoad)
		}
		cfg.YieldLoad = &f.yieldLoad
	}
	cfg.DialManager, cfg.ManagerToken = as.dialAccounts, []byte(as.token)
	if serving.tokens != nil {
		cfg.Authenticate = serving.authenticate
	}
	return cfg, nil
}

// checkAddresses refuses addresses at which the agent cannot listen, or which clients cannot
// use: they get them as they are written.
func (f *agentFlags) checkAddresses(serving *serverCredentials) error {
	check := func(flag, address string) error {
		if err := serving.permit(flag, address); err != nil {
			return err
		}
		if host, _, _ := net.SplitHostPort(address); isAny(host) {
			return usageError("%s %s: clients are told this address: give the one at which they reach this machine", flag, address)
		}
		return nil
	}
	for _, text := range f.listen {
		network, address, ok := strings.Cut(text, ":")
		if !ok || network != "unix" && network != "tcp" {
			return usageError("--listen %s: give unix:PATH, unix:@NAME or tcp:HOST:PORT", text)
		}
		if network == "tcp" {
			if err := check("--listen", address); err != nil {
				return err
			}
		}
	}
	return check("--admin", f.admin)
}

// stateFolder is where this user's state is kept, of an agent or a manager.
func stateFolder(of string) (string, error) {
	folder := os.Getenv("XDG_STATE_HOME")
	if folder == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("there is no folder for state: %w; give one with --state", err)
		}
		folder = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(folder, "rfaas", of), nil
}

// serve listens at all addresses, and says where, for each transport that works there.
func (f *agentFlags) serve(ctx context.Context, a *agent.Agent, p *program, serving *serverCredentials) (about manager.Node, err error) {
	about.Labels, about.Version = f.labels, versionNumber()
	for _, text := range f.listen {
		network, address, _ := strings.Cut(text, ":")
		l, at, err := listenForPeers(network, address, serving)
		if err != nil {
			return about, fmt.Errorf("--listen %s: %w", text, withoutAddress(err))
		}
		go func() {
			defer l.Close()
			if err := a.Serve(ctx, l); err != nil && ctx.Err() == nil {
				p.logging.log.Error("no more peers are taken", "address", text, "reason", err)
			}
		}()
		for i, t := range a.Transports() {
			if network == "unix" || !t.UnixOnly && reaches(f.transports[i], address) {
				about.Addresses = append(about.Addresses, manager.Address{
					Network: network, Address: at, Transport: t.Scheme, Wire: t.Wire, TLS: network == "tcp" && serving.tls != nil,
				})
			}
		}
	}
	if len(about.Addresses) == 0 {
		return about, usageError("--listen %s: none of the transports %s works there; shm needs unix:, and beyond the loopback softroce needs an address: softroce://ADDRESS:0?trust-network", strings.Join(f.listen, " "), strings.Join(f.transports, " "))
	}
	return about, nil
}

// listenForPeers listens for tenants and clients of workers. at is what to tell them.
func listenForPeers(network, address string, serving *serverCredentials) (l *transport.Listener, at string, err error) {
	if network != "tcp" {
		if address[:min(1, len(address))] != "@" { // others use it, in other working directories
			if address, err = filepath.Abs(address); err != nil {
				return nil, "", err
			}
		}
		l, err = transport.Listen(network, address)
		if errors.Is(err, unix.EADDRINUSE) && isStale(address) {
			if err = os.Remove(address); err == nil {
				l, err = transport.Listen(network, address)
			}
		}
		if err != nil {
			return nil, "", err
		}
		return l, l.Addr().String(), nil
	}
	inner, at, err := serving.listen(address)
	if err != nil {
		return nil, "", err
	}
	return transport.Serve(inner), at, nil
}

// withoutAddress is an error of listening without the address, for where that is said already.
func withoutAddress(err error) error {
	if e, ok := errors.AsType[*transport.OpError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

// isStale reports whether a path is a socket without a listener: it was killed.
func isStale(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return false
	}
	stream, err := net.Dial("unix", path)
	if err == nil {
		stream.Close()
	}
	return errors.Is(err, unix.ECONNREFUSED)
}

// reaches reports whether a client that reaches a TCP address of this machine reaches a
// transport, too: softroce is at the loopback if its URL does not say otherwise.
func reaches(transport, address string) bool {
	host, _, _ := net.SplitHostPort(address)
	u, err := url.Parse(transport)
	return tokens.IsLoopback(host) || schemeOf(transport) != "softroce" || err == nil && u.Host != "" && !tokens.IsLoopback(u.Hostname())
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
