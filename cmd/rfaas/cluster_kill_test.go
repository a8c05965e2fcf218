//go:build cgo

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/effort"
)

// killedCluster is a cluster whose processes are killed under load.
type killedCluster struct {
	*testCluster
	random *rand.Rand
	state  string         // folder of the agents' states
	cores  map[string]int // that nodes offer
	watch  *executorWatch

	code  string // a package
	loads []*killedLoad

	outputs int // of all runs that have ended
	calls   int // that were begun at most
	tallies map[string]int
}

// killedLoad is a run with an output folder.
type killedLoad struct {
	*started
	dir        string
	count      int // of inputs
	idempotent bool
	before     int // outputs that there were when it was last looked at
}

func newKilledCluster(t *testing.T) *killedCluster {
	t.Helper()
	k := &killedCluster{
		testCluster: &testCluster{t: t, dir: t.TempDir(), agents: map[string]*started{}},
		random:      moments(t), state: t.TempDir(), cores: map[string]int{"a": 2, "b": 1},
		watch: watchExecutors(t), code: filepath.Join(t.TempDir(), "native.rfaas"), tallies: map[string]int{},
	}
	k.makePackage()
	// An address of its own, so that no other process gets the port while the manager is away.
	k.startManager(fmt.Sprintf("127.%d.%d.%d:0", 1+k.random.IntN(254), k.random.IntN(256), 1+k.random.IntN(254)))
	k.startAgent("a")
	k.startAgent("b")
	return k
}

// makePackage makes one with a function that does what work does.
func (k *killedCluster) makePackage() {
	t, dir := k.t, filepath.Dir(k.code)
	t.Helper()
	compile(t, filepath.Join(dir, "native.so"), `
#include <stdint.h>
#include <string.h>
#include <time.h>
static int64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000ll + t.tv_nsec; }
uint32_t work(void *args, uint32_t size, void *res)
{
	for (int64_t end = now() + 2000000; now() < end;);
	memcpy(res, "worked on ", 10);
	memcpy((char *)res + 10, args, size);
	return size + 10;
}`)
	succeed(t, dir, "pack", "-o", k.code, "--function", "work=work,idempotent", "native.so")
}

func (k *killedCluster) startManager(address string) {
	k.t.Helper()
	k.manager = start(k.t, k.state, "manager", "--listen", address, "--state", "manager")
	k.url = k.said(k.manager, `manager at (http://\S+)\n`)[1]
}

// startAgent starts an agent that gives a killed client's cores to others soon.
func (k *killedCluster) startAgent(name string) {
	k.t.Helper()
	s := k.agent(name, "--cores", strconv.Itoa(k.cores[name]), "--state", k.state+"/"+name, "--notice", "200ms", "--max-life", "500ms", "--partial-isolation")
	k.watch.agent(name, s.cmd.Process.Pid)
}

// load starts a run: of a function that comes with the program, of one that is not to be
// tried again, or of one that is isolated.
func (k *killedCluster) load() *killedLoad {
	k.t.Helper()
	l := &killedLoad{dir: k.t.TempDir(), count: 40 + k.random.IntN(60), idempotent: true}
	function := []string{"test-work", "test-work-once", k.code}[k.random.IntN(3)]
	l.idempotent = function != "test-work-once"
	l.started = start(k.t, l.dir, append([]string{"run", "--manager", k.url, "-f", function, "--workers", "2", "-o", "out"}, inputs(k.t, l.dir, l.count)...)...)
	k.tallies["runs"]++
	return l
}

// keepLoad replaces runs that have ended, and waits until all of them have done something
// since it was last called: so an input that was lost is not lost again by the next kill,
// which would be its last one soon.
func (k *killedCluster) keepLoad() {
	k.t.Helper()
	const loads, progress = 2, 3
	for {
		k.loads = slices.DeleteFunc(k.loads, func(l *killedLoad) bool {
			if !l.over() {
				return false
			}
			k.check(l)
			return true
		})
		for len(k.loads) < loads {
			k.loads = append(k.loads, k.load())
		}
		under := true
		for _, l := range k.loads {
			require.True(k.t, eventually(programTimeout, func() bool {
				return l.over() || len(namesIn(k.t, l.dir, "out")) >= l.before+progress
			}), "a run does not continue: %s%s", &l.stdout, &l.stderr)
			under = under && !l.over()
		}
		if under {
			break
		}
	}
	for _, l := range k.loads {
		l.before = len(namesIn(k.t, l.dir, "out"))
	}
}

// check waits for the end of a run that was not killed: its outputs are those that it
// reports, and what it has not done it says.
func (k *killedCluster) check(l *killedLoad) {
	t := k.t
	t.Helper()
	status, stdout := l.wait(), l.stdout.String()
	said := fmt.Sprintf("%s%s", stdout, &l.stderr)
	done := l.outputs(k)
	failed := l.count - len(done)
	require.Regexp(t, fmt.Sprintf(`(?m)^\S+: %d of %d inputs done, (%d failed, )?in `, len(done), l.count, failed), said)
	why := ": tried 3 times, and its worker was lost each time: "
	if !l.idempotent {
		why = " is not declared idempotent"
	}
	reported := 0
	for line := range strings.Lines(stdout) {
		name, _, _ := strings.Cut(line, ": ")
		if name, ok := strings.CutPrefix(name, "  in/"); ok {
			require.Contains(t, line, why)
			require.NotContains(t, done, name, "reported, and done all the same")
			reported++
		}
	}
	require.Equal(t, failed, reported, "inputs are neither done nor reported: %s", said)
	if failed == 0 {
		require.Equal(t, exitOK, status, said)
	} else {
		require.Equal(t, exitFailed, status, said)
	}
	if l.idempotent {
		k.tallies["given up after three workers"] += failed
	} else {
		k.tallies["lost and not to be tried again"] += failed
	}
}

// outputs are what a run that has ended has made, and each is whole.
func (l *killedLoad) outputs(k *killedCluster) []string {
	k.t.Helper()
	done := namesIn(k.t, l.dir, "out")
	for _, name := range done {
		require.Equal(k.t, worked(read(k.t, l.dir, "in", name)), read(k.t, l.dir, "out", name))
	}
	again := strings.Count(l.stderr.String(), `msg="input is tried again"`)
	k.outputs += len(done)
	k.calls += l.count + again
	k.tallies["tried again"] += again
	return done
}

// kill kills one of a kind, at a random moment, and starts it again.
func (k *killedCluster) kill(victim string) {
	t := k.t
	t.Helper()
	k.keepLoad()
	fresh := victim == "client" && k.random.IntN(2) == 0 // or one in the middle of its work
	if fresh {
		k.loads = append(k.loads, k.load())
	}
	time.Sleep(time.Duration(k.random.IntN(60_000)) * time.Microsecond)
	switch victim {
	case "client":
		i := k.random.IntN(len(k.loads))
		if fresh {
			i = len(k.loads) - 1
		}
		l := k.loads[i]
		k.loads = slices.Delete(k.loads, i, i+1)
		l.killed()
		if l.wait() != -1 { // it came to its end just before
			k.check(l)
			k.kill(victim)
			return
		}
		l.outputs(k)
	case "executor":
		var all []int
		require.True(t, eventually(programTimeout, func() bool { all = k.watch.executors(); return len(all) > 0 }))
		_ = syscall.Kill(all[k.random.IntN(len(all))], syscall.SIGKILL) // it may just have ended
	case "agent":
		name := []string{"a", "b"}[k.random.IntN(2)]
		s := k.agents[name]
		s.killed()
		k.startAgent(name)
		require.Equal(t, -1, s.wait())
	case "manager":
		s := k.manager
		s.killed()
		k.startManager(strings.TrimPrefix(k.url, "http://"))
		require.Equal(t, -1, s.wait())
	}
	k.tallies[victim]++
	k.requireStock()
	require.Empty(t, k.watch.found(), "a core is leased twice")
}

// killed kills a process and returns when it has ended; what it has started may not have.
func (s *started) killed() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	require.True(s.t, eventually(programTimeout, s.over))
}

// requireStock checks that no node has leased more than it offers.
func (k *killedCluster) requireStock() {
	t := k.t
	t.Helper()
	as, err := (&clientFlags{}).open()
	require.NoError(t, err)
	m, err := manager.NewClient(k.url, as.http)
	require.NoError(t, err)
	known, err := m.Nodes(t.Context())
	require.NoError(t, err)
	for i := range known.Nodes {
		node := &known.Nodes[i]
		var answer struct {
			Leases []agent.LeaseInfo `json:"leases"`
		}
		if askOwner(t.Context(), as, node, http.MethodGet, "/v1/leases", &answer) != nil {
			continue // it was killed, and has not told yet where it is now
		}
		leased := 0
		for _, l := range answer.Leases {
			leased += l.Cores
		}
		require.LessOrEqual(t, leased, k.cores[node.ID], "node %s: %v", node.ID, answer.Leases)
		k.tallies["stocks looked at"]++
	}
}

// nodeBills is what was used, by node and quantity.
type nodeBills map[string]map[string]uint64

// bills adds up bills.
func (k *killedCluster) bills(of ...[]string) nodeBills {
	k.t.Helper()
	sum := nodeBills{}
	for _, args := range of {
		stdout := succeed(k.t, k.state, append([]string{"bill", "--by", "node", "--format", "json"}, args...)...)
		for _, row := range decodeLines[map[string]json.RawMessage](k.t, stdout) {
			var node string
			require.NoError(k.t, json.Unmarshal(row["node"], &node))
			if sum[node] == nil {
				sum[node] = map[string]uint64{}
			}
			for name, value := range row {
				if n, err := strconv.ParseUint(string(value), 10, 64); err == nil {
					sum[node][name] += n
				}
			}
		}
	}
	return sum
}

// agentsBills are those of the agents' own ledgers.
func (k *killedCluster) agentsBills() nodeBills {
	k.t.Helper()
	return k.bills([]string{"--state", k.state + "/a"}, []string{"--state", k.state + "/b"})
}

// invocations is the sum over all nodes.
func (b nodeBills) invocations() (n int) {
	for _, quantities := range b {
		n += int(quantities["invocations"])
	}
	return n
}

// settle lets the load come to its end, checks the bills, and ends the cluster.
func (k *killedCluster) settle() {
	t := k.t
	t.Helper()
	for _, l := range k.loads {
		k.check(l)
	}
	require.True(t, eventually(programTimeout, func() bool {
		nodes := k.nodes()
		return nodes["a"].FreeCores == k.cores["a"] && nodes["b"].FreeCores == k.cores["b"]
	}), "leases of killed clients remain")
	var agents, managers nodeBills
	if !eventually(20*time.Second, func() bool {
		agents, managers = k.agentsBills(), k.bills([]string{"--manager", k.url})
		return len(agents) > 0 && fmt.Sprint(agents) == fmt.Sprint(managers)
	}) {
		require.Equal(t, agents, managers, "the manager's bill is not that of the agents: %s%s%s", &k.manager.stderr, &k.agents["a"].stderr, &k.agents["b"].stderr)
	}
	require.GreaterOrEqual(t, agents.invocations(), k.outputs, "results that were not billed")
	require.LessOrEqual(t, agents.invocations(), k.calls, "more was billed than was called")
	k.end()
	require.Equal(t, agents, k.agentsBills(), "the end costs nothing")
	require.Equal(t, managers, k.bills([]string{"--state", k.state + "/manager"}))
	t.Logf("%v; %d outputs, at most %d calls, %d billed; %d samples of two leases at once", k.tallies, k.outputs, k.calls, agents.invocations(), k.watch.samples)
}

// requireNothingIsLeft looks for what outlives a cluster that was ended.
func (k *killedCluster) requireNothingIsLeft() {
	t := k.t
	t.Helper()
	require.True(t, eventually(5*time.Second, func() bool { return len(k.watch.remains()) == 0 }), "%v", k.watch.remains())
	require.Empty(t, namesIn(t, k.dir, "."), "temporary files and sockets")
	for node := range k.cores {
		require.Empty(t, namesIn(t, k.state, node, "pages"))
	}
}

// Clients, executors, agents and the manager are killed at any moment, while they work:
// no call is reported that was not made, none is lost in silence, no core is leased twice,
// bills agree, and nothing is left behind.
func TestClusterKilled(t *testing.T) {
	t.Parallel()
	k := newKilledCluster(t)
	var victims []string
	for _, victim := range []string{"client", "executor", "agent", "manager"} {
		victims = append(victims, slices.Repeat([]string{victim}, effort.Of(5, 20))...)
	}
	k.random.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	for _, victim := range victims {
		k.kill(victim)
	}
	k.settle()
	k.requireNothingIsLeft()
}
