package alloc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/accounting/words"
	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/transcript"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// patience bounds what happens at once unless the machine is very busy.
const patience = 30 * time.Second

// functions are what the agents of the tests come with, and what their packages have.
var functions = map[string]invoke.Function{
	"echo": func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil },
	"pid":  func(_ context.Context, _, out []byte) (int, error) { return copy(out, strconv.Itoa(os.Getpid())), nil },
	"nap": func(_ context.Context, in, out []byte) (int, error) {
		time.Sleep(time.Duration(binary.LittleEndian.Uint64(in)))
		return copy(out, in), nil
	},
	"crash": func(context.Context, []byte, []byte) (int, error) {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	},
}

// Executors of the tests are the test binary.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "executor" {
		load := func(context.Context, executor.Code) (runtime.Module, error) { return module{}, nil }
		h := executor.Host{Functions: functions, Runtimes: map[string]executor.Loader{runtime.Wasm: load}, NewMeter: agent.NewMeter}
		if err := h.Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// module stands for what a package was loaded to: its code is not looked at.
type module struct{}

func (module) Function(entry string) (invoke.Function, error) { return functions[entry], nil }
func (module) Close() error                                   { return nil }

// log is of a test.
func log(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// site is an agent of a test.
type site struct {
	*agent.Agent
	address string
	cancel  context.CancelFunc
	ended   sync.WaitGroup
}

// newSite starts an agent with cores that the kernel chooses.
func newSite(t *testing.T, cores int, edit func(*agent.Config)) *site {
	t.Helper()
	cfg := agent.Config{Name: "node", Transports: []string{"shm:"}, MemoryBytes: 64 << 30, Epoch: 1, Logger: log(t)}
	for range cores {
		cfg.Cores = append(cfg.Cores, executor.AnyCore)
	}
	if edit != nil {
		edit(&cfg)
	}
	a := must(agent.New(cfg))
	p := &agent.Program{Runtime: runtime.Go, Trusted: true}
	for name := range functions {
		p.Functions = append(p.Functions, executor.Function{Name: name, Entry: name, Idempotent: name != "crash"})
	}
	require.NoError(t, a.Offer(t.Context(), [32]byte{}, p))
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	s := &site{Agent: a, address: "unix:" + l.Addr().String(), cancel: cancel}
	s.ended.Go(func() { s.Serve(ctx, l) })
	t.Cleanup(func() {
		cancel()
		s.ended.Wait()
		require.NoError(t, l.Close())
		require.NoError(t, a.Close())
	})
	return s
}

var sockets atomic.Int64

// listen listens at a name of its own.
func listen(t *testing.T) *transport.Listener {
	t.Helper()
	l := must(transport.Listen("unix", fmt.Sprintf("@%s-%d-%d", t.Name(), os.Getpid(), sockets.Add(1))))
	return l
}

// register keeps the site registered with a manager until it is to leave, or the test ends.
func (s *site) register(t *testing.T, url string) (leave func()) {
	t.Helper()
	c := must(manager.NewClient(url, nil))
	ctx, cancel := context.WithCancel(context.Background())
	var registering sync.WaitGroup
	registering.Go(func() {
		if err := s.Register(ctx, c, manager.Node{Addresses: []manager.Address{s.listed(t)}}); err != nil {
			t.Error(err)
		}
	})
	leave = func() { cancel(); registering.Wait() }
	t.Cleanup(leave)
	return leave
}

// listed is the site's address as managers list it.
func (s *site) listed(t *testing.T) manager.Address {
	return manager.Address{Network: "unix", Address: s.address[len("unix:"):], Transport: "shm", Wire: openDevice(t).Capabilities().Wire}
}

func openDevice(t *testing.T) *transport.Device {
	device := must(transport.Open("shm:"))
	t.Cleanup(func() { require.NoError(t, device.Close()) })
	return device
}

// openClient makes a client over shared memory.
func openClient(t *testing.T, cfg alloc.Config) *alloc.Client {
	t.Helper()
	cfg.Tenant = "tenant"
	if cfg.Device == nil {
		cfg.Device = openDevice(t)
	}
	if cfg.Logger == nil {
		cfg.Logger = log(t)
	}
	c := must(alloc.Open(t.Context(), cfg))
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func newClient(t *testing.T, sites ...*site) *alloc.Client {
	t.Helper()
	var cfg alloc.Config
	for _, s := range sites {
		cfg.Agents = append(cfg.Agents, s.address)
	}
	return openClient(t, cfg)
}

func soon(t *testing.T) context.Context { return within(t, patience) }

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func newPool(t *testing.T, c *alloc.Client, o alloc.Order) *alloc.Pool {
	t.Helper()
	o.Calls.Logger = log(t)
	p, err := c.Lease(soon(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

// free waits until so many cores of a site are free.
func free(t *testing.T, s *site, cores int) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Free().Cores == cores }, patience, time.Millisecond, "%v", s.Free())
}

func pid(t *testing.T, p *alloc.Pool) int {
	out := make([]byte, 20)
	n, err := p.Call(soon(t), "pid", nil, out)
	require.NoError(t, err)
	return must(strconv.Atoi(string(out[:n])))
}

func echo(t *testing.T, p *alloc.Pool, text string) {
	t.Helper()
	out := make([]byte, len(text))
	_, err := p.Call(soon(t), "echo", []byte(text), out)
	require.NoError(t, err)
	require.Equal(t, text, string(out))
}

func TestLeaseCallRelease(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3, nil)
	c := newClient(t, s)
	p := newPool(t, c, alloc.Order{Workers: 2})
	require.Equal(t, 1, s.Free().Cores)
	echo(t, p, "hello")
	require.Eventually(t, func() bool { return len(s.Leases()[0].Processes) == 2 }, patience, time.Millisecond)
	processes := s.Leases()[0].Processes
	require.NotEqual(t, processes[0], processes[1], "each worker is a process")
	require.NoError(t, p.Close())
	free(t, s, 3)
}

// Forty leases in a row, over one connection.
func TestLeasesInARow(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	c := newClient(t, s)
	seen := map[int]bool{}
	for range 40 {
		p := newPool(t, c, alloc.Order{})
		seen[pid(t, p)] = true
		require.NoError(t, p.Close())
	}
	free(t, s, 1)
	require.Len(t, seen, 40, "each has a process of its own")
}

// Seventy thousand calls over one connection.
func TestManyCalls(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	p := newPool(t, newClient(t, s), alloc.Order{})
	var callers sync.WaitGroup
	const callerCount, each = 7, 10_000
	for range callerCount {
		callers.Go(func() {
			in, out := []byte("hello"), make([]byte, 5)
			for range each {
				if _, err := p.Call(t.Context(), "echo", in, out); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
	require.EqualValues(t, callerCount*each, p.Stats().Calls)
	require.NoError(t, p.Close())
	u, _ := p.Usage()
	require.EqualValues(t, callerCount*each, u[accounting.Invocations])
}

// Peers that connect and say nothing do not delay others.
func TestSilentPeers(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	for range 12 {
		silent := must(net.Dial("unix", s.address[len("unix:"):]))
		defer silent.Close()
	}
	p := newPool(t, newClient(t, s), alloc.Order{})
	pid(t, p)
	require.NoError(t, p.Close())
}

// What others have is not granted, and a request that waits gets it when it is free; one that can
// begin with fewer workers waits, too, and gets those that are free.
func TestFullNode(t *testing.T) {
	t.Parallel()
	s := newSite(t, 2, nil)
	c := newClient(t, s)
	p := newPool(t, c, alloc.Order{Workers: 2})
	pid(t, p)
	more := alloc.Order{Workers: 3, AtLeast: 1} // than the node has in all
	for _, o := range []alloc.Order{{}, more} {
		_, err := c.Lease(within(t, 500*time.Millisecond), o)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		refused := (*lease.RefusedError)(nil)
		require.ErrorAs(t, err, &refused)
		require.Equal(t, lease.NoCores, refused.Reason)
	}
	_, err := c.Lease(soon(t), alloc.Order{Workers: 1, Cores: 3})
	require.ErrorContains(t, err, "node node refuses a lease: more than the node has: it has 2 cores")
	got := make(chan error)
	go func() {
		q, err := c.Lease(soon(t), alloc.Order{})
		if err == nil {
			err = q.Close()
		}
		got <- err
	}()
	require.NoError(t, p.Close())
	require.NoError(t, <-got)
	free(t, s, 2)
	p = newPool(t, c, more)
	require.Len(t, p.Stats().Lanes, 2)
	pid(t, p)
}

// A process that ends is replaced, within the lease, and its client learns how it
// ended.
func TestWorkerDies(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	p := newPool(t, newClient(t, s), alloc.Order{})
	first := pid(t, p)
	_, err := p.Call(soon(t), "crash", nil, nil)
	lost := (*alloc.LostError)(nil)
	require.ErrorAs(t, err, &lost)
	require.Equal(t, first, lost.Process)
	require.Equal(t, lease.WorkerDied, lost.Reason)
	require.Equal(t, `killed by signal 9 (killed) while function "crash" ran`, lost.How)
	require.NotEqual(t, first, pid(t, p))
	require.Equal(t, 0, s.Free().Cores, "it is the same lease")
}

// A worker that overstays is left, and a new process is there before its function ends.
func TestWorkerOverstays(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	p := newPool(t, newClient(t, s), alloc.Order{Calls: client.Config{Overtime: time.Nanosecond}})
	first := pid(t, p)
	long := binary.LittleEndian.AppendUint64(nil, uint64(time.Hour))
	_, err := p.Call(within(t, 20*time.Millisecond), "nap", long, nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotEqual(t, first, pid(t, p))
	require.ErrorIs(t, syscall.Kill(first, 0), syscall.ESRCH, "the one before is gone")
}

// Leases are renewed as long as there is a client, and then end with their processes.
func TestRenewal(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	c := newClient(t, s)
	p := newPool(t, c, alloc.Order{Life: time.Second})
	first := pid(t, p)
	for begun := time.Now(); time.Since(begun) < 2*time.Second; time.Sleep(10 * time.Millisecond) {
		require.Equal(t, 0, s.Free().Cores)
	}
	require.Equal(t, first, pid(t, p))
	require.NoError(t, c.Close()) // as if it had died: nothing is given back
	require.Equal(t, 0, s.Free().Cores, "it outlives the connection")
	free(t, s, 1)
	require.ErrorIs(t, syscall.Kill(first, 0), syscall.ESRCH)
}

// When a node is drained, what runs may finish, and calls continue elsewhere.
func TestDrainedNode(t *testing.T) {
	t.Parallel()
	a := newSite(t, 1, func(cfg *agent.Config) { cfg.Name, cfg.Notice = "a", patience })
	b := newSite(t, 2, func(cfg *agent.Config) { cfg.Name = "b" })
	var mu sync.Mutex
	nodes := map[string]int{}
	p := newPool(t, newClient(t, a, b), alloc.Order{Workers: 2, OnWorker: func(_ int, w alloc.Worker) {
		mu.Lock()
		defer mu.Unlock()
		nodes[w.Node]++
	}})
	nap := binary.LittleEndian.AppendUint64(nil, uint64(100*time.Millisecond))
	var calls []*client.Future
	for range 2 {
		f := must(p.Go(soon(t), "nap", nap, invoke.CallOptions{Room: 8}))
		calls = append(calls, f)
	}
	require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return nodes["a"] == 1 && nodes["b"] == 1 }, patience, time.Millisecond, "spread")
	drained := make(chan error)
	go func() { drained <- a.Drain(soon(t), lease.Revoked, "maintenance") }()
	for _, f := range calls {
		_, err := f.Wait(soon(t))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		echo(t, p, "x")
		return b.Free().Cores == 0
	}, patience, time.Millisecond, "both are at b")
	require.NoError(t, <-drained)
	require.Equal(t, 0, a.Free().Cores, "it gives no more")
}

// wasmModule is one whose export "echo" has the type of an entry point. It is not run.
const wasmModule = "\x00asm\x01\x00\x00\x00\x01\x16\x03`\x04\x7f\x7f\x7f\x7f\x01\x7f`\x01\x7f\x01\x7f`\x04\x7f\x7f~\x7f\x01\x7f\x02\t\x01\x03env\x01f\x00\x00\x03\x04\x03\x00\x01\x02\x05\x03\x01\x00\x01\a\x1f\x03\x04echo\x00\x01\x06memory\x02\x00\vrfaas_alloc\x00\x02\n\x10\x03\x04\x00A\x00\v\x04\x00A\x00\v\x04\x00A\x00\v"

func newPackage(t *testing.T, more int) *pack.Package {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "code.wasm"), []byte(wasmModule), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "data"), bytes.Repeat([]byte(t.Name()), more/len(t.Name())+1), 0o600))
	p := must(pack.Build(dir, nil))
	t.Cleanup(func() { p.Close() })
	return p
}

// Code that an agent lacks is sent to it: once, also if two want it at the same time, and
// it is there after a restart of the agent.
func TestPackageIsSent(t *testing.T) {
	t.Parallel()
	var puts transcript.Transcript
	cache := must(pack.OpenCache(t.TempDir(), pack.CacheConfig{Logger: slog.New(slog.NewTextHandler(&puts, nil))}))
	withCache := func(cfg *agent.Config) { cfg.Packages = cache }
	s := newSite(t, 3, withCache)
	p := newPackage(t, 3<<20)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			pool := newPool(t, newClient(t, s), alloc.Order{Package: p})
			out := make([]byte, 5)
			if _, err := pool.Call(soon(t), "echo", []byte("hello"), out); err != nil || string(out) != "hello" {
				t.Errorf("%q, %v", out, err)
			}
		})
	}
	both.Wait()
	require.Equal(t, 1, strings.Count(puts.String(), "package put into the cache"), "%s", puts.String())
	again := newSite(t, 1, withCache)
	echo(t, newPool(t, newClient(t, again), alloc.Order{Digest: p.Digest()}), "")

	unknown := newPackage(t, 1)
	_, err := newClient(t, s).Lease(soon(t), alloc.Order{Digest: unknown.Digest()})
	require.ErrorContains(t, err, "does not have the package "+unknown.Digest().String()+", which was not given here")
	_, err = newClient(t, newSite(t, 1, nil)).Lease(soon(t), alloc.Order{Package: unknown})
	require.ErrorContains(t, err, "the code cannot be run: this agent takes no packages")
	_, err = newClient(t, newSite(t, 1, func(cfg *agent.Config) { cfg.Packages, cfg.MaxPackageBytes = cache, 1000 })).Lease(soon(t), alloc.Order{Package: newPackage(t, 2000)})
	require.ErrorContains(t, err, "this agent takes up to 1000")
}

// A client without the token of a lease, or with that of one that has ended, reaches no worker.
func TestStrangers(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	c := newClient(t, s)
	p := newPool(t, c, alloc.Order{})
	pid(t, p)
	dial := func(token []byte) error {
		conn, err := invoke.Dial(soon(t), c.Device(), "unix", s.address[len("unix:"):], invoke.ClientConfig{Token: token})
		if err == nil {
			conn.Close()
		}
		return err
	}
	guessed := lease.Token{Lease: lease.NewID(1, 1)}
	for _, token := range [][]byte{nil, []byte("token"), guessed.Encode()} {
		err := dial(token)
		require.ErrorIs(t, err, invoke.ErrRevoked)
		require.ErrorContains(t, err, "no lease here has the client's token")
	}
	pid(t, p)
	domain, err := c.Device().NewProtectionDomain()
	require.NoError(t, err)
	defer domain.Close()
	queue, err := c.Device().NewQueue(128)
	require.NoError(t, err)
	defer queue.Close()
	_, err = c.Device().Dial(soon(t), "unix", s.address[len("unix:"):], transport.ConnConfig{Domain: domain, SendQueue: queue, RecvQueue: queue})
	require.ErrorIs(t, err, transport.ErrRejected)
}

// One agent at a time has a state folder, and each start has an epoch of its own.
func TestState(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	state := must(agent.OpenState(folder))
	_, err := agent.OpenState(folder)
	require.ErrorContains(t, err, "is another agent's")
	require.NoError(t, state.Close())
	next := must(agent.OpenState(folder))
	require.Equal(t, state.Epoch+1, next.Epoch)
	require.NoError(t, next.Close())
	require.NoError(t, os.WriteFile(filepath.Join(folder, "epoch"), []byte("many"), 0o600))
	_, err = agent.OpenState(folder)
	require.ErrorContains(t, err, "write a number there that is larger than all before")
}

// What a lease has cost is what was done: exactly, where it was counted, and the time
// that the lease was there, in the pool, and in the node's ledger.
func TestMetering(t *testing.T) {
	t.Parallel()
	state := must(agent.OpenState(t.TempDir()))
	defer state.Close()
	s := newSite(t, 2, func(cfg *agent.Config) { cfg.State = state })
	c := newClient(t, s)
	begun := time.Now()
	p := newPool(t, c, alloc.Order{Workers: 2})
	leased := time.Now()
	const calls, bytes = 100, 10
	for range calls {
		echo(t, p, strings.Repeat("x", bytes))
	}
	returned := time.Now()
	require.NoError(t, p.Close())
	ended := time.Now()
	u, claimed := p.Usage()
	require.False(t, claimed)
	require.EqualValues(t, calls, u[accounting.Invocations])
	require.EqualValues(t, calls*bytes, u[accounting.BytesIn])
	require.EqualValues(t, calls*bytes, u[accounting.BytesOut])
	require.Positive(t, u[accounting.ExecutedTime])
	require.Positive(t, u[accounting.PolledTime])
	require.GreaterOrEqual(t, u[accounting.CoreTime], uint64(2*returned.Sub(leased)))
	require.LessOrEqual(t, u[accounting.CoreTime], uint64(2*ended.Sub(begun)))
	require.Positive(t, u[accounting.MemoryTime])

	idle := newPool(t, c, alloc.Order{Workers: 2})
	_, err := c.Lease(soon(t), alloc.Order{Workers: 3})
	require.Error(t, err, "it costs nothing")
	require.NoError(t, idle.Close())
	cores, _ := idle.Usage()
	require.Positive(t, cores[accounting.CoreTime])
	require.Zero(t, cores[accounting.Invocations])
	var bill accounting.Bill
	require.Eventually(t, func() bool {
		bill, err = accounting.MakeBill(accounting.ReadLedger(state.LedgerPath()), accounting.By{Tenant: true}, accounting.Filter{})
		return err == nil && len(bill.Rows) == 1 && bill.Rows[0].Usage == u.Add(cores)
	}, patience, 10*time.Millisecond, "%v", bill)
	require.Equal(t, "tenant", bill.Rows[0].Tenant)
	require.Eventually(t, func() bool {
		return len(must(filepath.Glob(filepath.Join(state.Folder, "pages", "*")))) == 0
	}, patience, time.Millisecond)
}

// What was used at a node arrives in the manager's ledger, also what an agent that is gone
// had not told: by the next one with its state.
func TestManagerIsTold(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	ledger := must(accounting.OpenLedger(filepath.Join(folder, "ledger"), accounting.LedgerConfig{Logger: log(t)}))
	defer func() { require.NoError(t, ledger.Close()) }()
	device := openDevice(t)
	server := words.NewServer(words.ServerConfig{Devices: []*transport.Device{device}, Ledger: ledger, Every: 10 * time.Millisecond, Logger: log(t)})
	l := listen(t)
	defer l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()
	all.Go(func() { server.Serve(ctx, l) })
	all.Go(func() { server.Keep(ctx) })
	m := must(manager.New(manager.Config{Logger: log(t), Accounting: []manager.Address{{Network: "unix", Address: l.Addr().String(), Transport: "shm", Wire: device.Capabilities().Wire}}}))
	defer m.Close()
	web := httptest.NewServer(m)
	defer web.Close()

	calls := func(state *agent.State, told bool) {
		t.Helper()
		s := newSite(t, 1, func(cfg *agent.Config) { cfg.State = state })
		leave := func() {}
		if told {
			leave = s.register(t, web.URL)
		}
		p := newPool(t, newClient(t, s), alloc.Order{})
		for range 10 {
			echo(t, p, "x")
		}
		require.NoError(t, p.Close())
		if told {
			require.Eventually(t, func() bool {
				var u accounting.Usage
				for _, e := range ledger.Totals() {
					u = u.Add(e.Usage)
				}
				return u[accounting.Invocations] == 10*state.Epoch
			}, patience, 10*time.Millisecond)
		}
		leave()
		s.cancel()
		s.ended.Wait()
		require.NoError(t, s.Close())
	}
	for _, told := range []bool{false, true, true} {
		state := must(agent.OpenState(filepath.Join(folder, "state")))
		calls(state, told)
		require.NoError(t, state.Close())
	}
	byEpoch := map[uint64]uint64{}
	for _, e := range ledger.Totals() {
		require.Zero(t, e.Lease)
		require.Equal(t, "node", e.Node)
		require.Equal(t, "tenant", e.Tenant)
		require.Positive(t, e.Usage[accounting.CoreTime])
		byEpoch[e.Epoch] += e.Usage[accounting.Invocations]
	}
	require.Equal(t, map[uint64]uint64{1: 10, 2: 10, 3: 10}, byEpoch)
	require.Equal(t, "2\n", string(must(os.ReadFile(filepath.Join(folder, "state", "told")))))
}

// A client that is closed while it asks for a lease gives it back: it does not have to
// expire.
func TestClosedWhileAsking(t *testing.T) {
	t.Parallel()
	s := newSite(t, 100, nil)
	device := openDevice(t)
	for i := range 100 {
		c := must(alloc.Open(t.Context(), alloc.Config{Device: device, Tenant: "tenant", Agents: []string{s.address}}))
		first, err := c.Lease(soon(t), alloc.Order{})
		require.NoError(t, err)
		require.NoError(t, first.Close())
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i)*100*time.Nanosecond)
		if p, err := c.Lease(ctx, alloc.Order{Life: time.Minute}); err == nil {
			require.NoError(t, p.Close())
		}
		cancel()
		require.NoError(t, c.Close())
	}
	free(t, s, 100)
}

// Requests that wait end when their client is closed.
func TestClosedClient(t *testing.T) {
	t.Parallel()
	c := newClient(t, &site{address: "unix:@no-one-listens-here"})
	waiting := make(chan error)
	go func() {
		_, err := c.Lease(context.Background(), alloc.Order{})
		waiting <- err
	}()
	time.Sleep(time.Millisecond)
	require.NoError(t, c.Close())
	require.True(t, errors.Is(<-waiting, alloc.ErrClosed))
}
