package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/internal/transcript"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// patience bounds what happens at once unless the machine is very busy.
const patience = 30 * time.Second

// spun is the processor time that a call of the tests' function uses.
const spun = 200 * time.Millisecond

var functions = map[string]invoke.Function{
	"spin": func(context.Context, []byte, []byte) (int, error) { return 0, spin(spun) },
	"fill": func(_ context.Context, _, out []byte) (int, error) {
		for i := range out {
			out[i] = 1
		}
		return len(out), nil
	},
}

// The test binary is also the executors of its agents, and busy loops.
func TestMain(m *testing.M) {
	err := error(nil)
	switch strings.Join(os.Args[1:], " ") {
	case "executor":
		h := executor.Host{Functions: functions, NewMeter: agent.NewMeter}
		err = h.Run(context.Background())
	case "burn":
		burn()
	case "burn outside":
		err = burnOutside()
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newAgent(t *testing.T, edit func(*agent.Config)) (a *agent.Agent, address string) {
	t.Helper()
	cfg := agent.Config{
		Name: "node", Transports: []string{"shm:"}, Cores: []int{executor.AnyCore}, MemoryBytes: 8 << 30, Epoch: 1,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
	edit(&cfg)
	a, err := agent.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, a.Close()) })
	require.NoError(t, a.Offer(t.Context(), [32]byte{}, &agent.Program{
		Runtime: runtime.Go, Trusted: true, Functions: []executor.Function{{Name: "spin", Entry: "spin"}},
	}))
	l, err := transport.Listen("unix", fmt.Sprintf("@%s-%d", t.Name(), os.Getpid()))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { a.Serve(ctx, l) })
	t.Cleanup(func() { cancel(); serving.Wait(); require.NoError(t, l.Close()) })
	return a, "unix:" + l.Addr().String()
}

// lease takes a lease. said is what the tenant's log has.
func lease(t *testing.T, address string, o alloc.Order) (p *alloc.Pool, said func() string) {
	t.Helper()
	device, err := transport.Open("shm:")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, device.Close()) })
	log := &transcript.Transcript{}
	c, err := alloc.Open(t.Context(), alloc.Config{Device: device, Tenant: "tenant", Agents: []string{address}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	p, err = c.Lease(soon(t), o)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p, log.String
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A busy loop that is not the agent's counts, one that is does not, and neither does an
// executor, nor what it used when it has ended. Other load of the machine adds to what
// others use only. Not parallel: what this process itself uses is measured.
func TestLoadReader(t *testing.T) {
	read, err := agent.NewLoadReader()
	require.NoError(t, err)
	sample := func() agent.Load {
		s, err := read()
		require.NoError(t, err)
		return s
	}
	// Within of what is counted exactly: clock ticks of all processes involved.
	const exact = 50 * time.Millisecond
	first := sample()
	outside := newLoop(t, true)
	require.Eventually(t, func() bool { return outside.cpuTime(t) >= 10*exact }, patience, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		s := sample()
		return s.Used-first.Used-(s.Own-first.Own) >= 5*exact
	}, patience, 100*time.Millisecond)
	require.Less(t, sample().Own-first.Own, 5*exact, "it is not the agent's")
	outside.end()

	first = sample()
	inside := newLoop(t, false)
	require.Eventually(t, func() bool { return inside.cpuTime(t) >= 5*exact }, patience, 10*time.Millisecond)
	used := inside.cpuTime(t)
	second := sample()
	require.Greater(t, second.Own-first.Own, used-exact, "what this process has started")
	inside.end()
	require.GreaterOrEqual(t, sample().Own, second.Own, "also when it has ended")

	a, address := newAgent(t, func(*agent.Config) {})
	p, _ := lease(t, address, alloc.Order{})
	first = sample()
	_, err = p.Call(soon(t), "spin", nil, nil)
	require.NoError(t, err)
	second = sample()
	require.Greater(t, second.Own-first.Own, spun-exact, "what its executors use")
	require.NoError(t, p.Close())
	require.Eventually(t, func() bool { return a.Free().Cores == 1 }, patience, time.Millisecond)
	require.GreaterOrEqual(t, sample().Own, second.Own)
}

// When programs that are not the agent's need a core, a lease ends with a notice that says
// so, and the core is the owner's; when they have ended it can be leased again.
func TestYieldsToLoad(t *testing.T) {
	t.Parallel()
	read, err := agent.NewLoadReader()
	require.NoError(t, err)
	// The load of the rest of the machine, which other tests may use up, is kept out until
	// there is a lease, and again at the end: phase by phase, others use nothing, what they
	// really use, and nothing.
	var phase atomic.Int32
	var idle, shift time.Duration // what others had used; what of it was left out
	filtered := func() (agent.Load, error) {
		s, err := read()
		if phase.Load() != 1 {
			shift = s.Used - s.Own - idle
		}
		s.Used -= shift
		idle = s.Used - s.Own
		return s, err
	}
	a, address := newAgent(t, func(cfg *agent.Config) {
		cfg.YieldLoad, cfg.Notice = new(0.3), 200*time.Millisecond
		cfg.WatchLoad(500*time.Millisecond, 50*time.Millisecond, filtered)
	})
	p, said := lease(t, address, alloc.Order{})
	require.Equal(t, 0, a.Free().Cores)
	outside := newLoop(t, true)
	phase.Store(1)
	require.Eventually(t, func() bool { return strings.Contains(said(), "the owner's own programs use") }, patience, time.Millisecond)
	require.Contains(t, said(), "revoked by the node's owner")
	require.Eventually(t, func() bool { return len(a.Leases()) == 0 }, patience, time.Millisecond)
	require.Equal(t, 0, a.Free().Cores, "it is the owner's")
	require.NoError(t, p.Close())
	outside.end()
	phase.Store(2)
	require.Eventually(t, func() bool { return a.Free().Cores == 1 }, patience, time.Millisecond)
	p, _ = lease(t, address, alloc.Order{})
	_, err = p.Call(soon(t), "spin", nil, nil)
	require.NoError(t, err)
}

func TestYieldLoadIsChecked(t *testing.T) {
	t.Parallel()
	_, err := agent.New(agent.Config{Name: "node", Transports: []string{"shm:"}, YieldLoad: new(-1.0)})
	require.ErrorContains(t, err, "YieldLoad: -1 cores: must be 0 or more, or nil")
}
