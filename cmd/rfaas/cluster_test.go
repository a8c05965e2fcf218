package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc/manager"
)

// testCluster is a manager and its agents on this machine.
type testCluster struct {
	t       *testing.T
	url     string
	dir     string // of the agents' sockets and temporary files
	manager *started
	agents  map[string]*started
}

// newCluster starts a manager.
func newCluster(t *testing.T) *testCluster {
	t.Helper()
	c := &testCluster{t: t, dir: t.TempDir(), agents: map[string]*started{}, manager: start(t, t.TempDir(), "manager", "--listen", "127.0.0.1:0", "--state", "state")}
	said := c.said(c.manager, `manager at (http://127\.0\.0\.1:\d+)\n`)
	c.url = said[1]
	return c
}

// said waits until a program has printed something.
func (c *testCluster) said(s *started, pattern string) (found []string) {
	c.t.Helper()
	require.True(c.t, eventually(programTimeout, func() bool {
		found = regexp.MustCompile(pattern).FindStringSubmatch(s.stdout.String())
		return found != nil
	}), "%s%s", &s.stdout, &s.stderr)
	return found
}

// agent starts an agent; its state and cache are the test's own.
func (c *testCluster) agent(name string, args ...string) *started {
	c.t.Helper()
	dir := c.t.TempDir()
	s := startWith(c.t, dir, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "XDG_STATE_HOME="+dir, "XDG_CACHE_HOME="+dir, "TMPDIR="+c.dir)
	},
		append([]string{"agent", "--name", name, "--manager", c.url, "--listen", "unix:" + c.dir + "/" + name}, args...)...)
	c.said(s, "node "+name+": ")
	c.agents[name] = s
	require.True(c.t, eventually(programTimeout, func() bool { return c.nodes()[name].ID != "" }), "%s", &s.stderr)
	return s
}

// nodes are those that the manager knows.
func (c *testCluster) nodes() map[string]manager.Node {
	c.t.Helper()
	stdout := succeed(c.t, c.t.TempDir(), "nodes", "--manager", c.url, "--json")
	nodes := map[string]manager.Node{}
	for _, n := range decodeLines[manager.Node](c.t, stdout) {
		nodes[n.ID] = n
	}
	return nodes
}

// hold calls a function that keeps a worker until it is released, and returns when the
// function runs.
func (c *testCluster) hold() (call *started, release func()) {
	c.t.Helper()
	dir := c.t.TempDir()
	call = start(c.t, dir, "invoke", "test-gate", "--manager", c.url, "--in", write(c.t, dir, "gate", dir+"/open"))
	require.True(c.t, eventually(programTimeout, func() bool { return len(namesIn(c.t, dir)) == 2 }), "%s", &call.stderr)
	return call, func() {
		c.t.Helper()
		write(c.t, dir, "open", "")
		require.Equal(c.t, exitOK, call.wait(), "%s", &call.stderr)
	}
}

// awaitResults waits until a run has n results in its folder out.
func (s *started) awaitResults(n int) {
	s.t.Helper()
	require.True(s.t, eventually(programTimeout, func() bool { return len(namesIn(s.t, s.cmd.Dir, "out")) >= n }), "%s%s", &s.stdout, &s.stderr)
}

// end ends all, agents first, and looks that nothing remains.
func (c *testCluster) end() {
	c.t.Helper()
	for name, s := range c.agents {
		s.signal(syscall.SIGTERM)
		require.Equal(c.t, exitOK, s.wait(), "%s: %s", name, &s.stderr)
	}
	for name := range c.nodes() {
		require.NotContains(c.t, c.agents, name, "an agent that ends deregisters")
	}
	c.manager.signal(syscall.SIGTERM)
	require.Equal(c.t, exitOK, c.manager.wait(), "%s", &c.manager.stderr)
}

// A cluster on one machine does what run does; one agent is killed in the middle of it,
// and one drained: every result is there, and nothing was done twice in the output.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	dir := t.TempDir()
	c.agent("further", "--cores", "2") // taken, until it is needed
	_, releaseOne := c.hold()
	_, releaseOther := c.hold()
	require.True(t, eventually(programTimeout, func() bool { return c.nodes()["further"].FreeCores == 0 }))
	killed := c.agent("killed", "--cores", "1")
	c.agent("drained", "--cores", "1", "--notice", "30s")
	const count = 600
	s := start(t, dir, append([]string{"run", "--manager", c.url, "-f", "test-work", "--workers", "2", "-o", "out"}, inputs(t, dir, count)...)...)
	s.awaitResults(50)
	killed.signal(syscall.SIGKILL)
	releaseOne()
	releaseOther()
	s.awaitResults(120)
	succeed(t, dir, "drain", "drained", "--manager", c.url, "--reason", "a test")

	require.Equal(t, exitOK, s.wait(), "%s%s", &s.stdout, &s.stderr)
	require.Equal(t, -1, killed.wait())
	delete(c.agents, "killed")
	require.Len(t, namesIn(t, dir, "out"), count)
	for i := range count {
		require.Equal(t, worked(fmt.Sprint("input ", i)), read(t, dir, "out", fmt.Sprintf("%04d", i)))
	}
	require.Contains(t, s.stdout.String(), fmt.Sprintf("test-work: %d of %d inputs done, in ", count, count))
	require.Regexp(t, `(?m)^  worker  node +calls  busy  replaced$`, s.stdout.String())
	require.Regexp(t, `(?m)^ +\d  further +\d+ +\d+% +1$`, s.stdout.String())
	require.True(t, eventually(programTimeout, func() bool {
		nodes := c.nodes()
		return nodes["drained"].Draining && nodes["further"].FreeCores == 2
	}), "%v", c.nodes())
	c.end()
}

// A tenant gets no more cores of a node than the owner lets each have.
func TestTenantQuota(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.agent("a", "--cores", "2", "--tenant-cores", "1")
	_, release := c.hold()
	more := start(t, t.TempDir(), "--log-level", "warn", "invoke", "echo", "--data", "x", "--manager", c.url)
	require.True(t, eventually(programTimeout, func() bool { return strings.Contains(more.stderr.String(), "still waiting for workers") }))
	require.Contains(t, more.stderr.String(), "over the tenant's quota: it is 1 of the node's cores, of which 1 are in use")
	release()
	require.Equal(t, exitOK, more.wait(), "%s", &more.stderr)
	c.end()
}

// Leases are listed, and ended, while their workers execute.
func TestLeaseListAndEnd(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.agent("a", "--cores", "1", "--notice", "100ms")
	call, _ := c.hold()
	dir := t.TempDir()
	list := func() []nodeLease {
		t.Helper()
		return decodeLines[nodeLease](t, succeed(t, dir, "lease", "list", "--manager", c.url, "--json"))
	}
	leases := list()
	require.Len(t, leases, 1)
	require.Equal(t, "granted", leases[0].State)
	require.Len(t, leases[0].Processes, 1)
	require.Regexp(t, `(?m)^a     1-1    \S+ +1        1      0\.\d GiB  granted  `, succeed(t, dir, "lease", "list", "--manager", c.url))

	stderr := fails(t, dir, "lease", "end", "a", "1-7", "--manager", c.url)
	require.Equal(t, "rfaas lease end: node a: there is no lease 1-7\n", stderr)
	stderr = fails(t, dir, "lease", "end", "b", "1-1", "--manager", c.url)
	require.Equal(t, "rfaas lease end: the manager knows no node \"b\"; 'rfaas nodes' shows those that it does\n", stderr)
	succeed(t, dir, "lease", "end", "a", leases[0].ID, "--manager", c.url, "--reason", "a test")
	require.Equal(t, exitFailed, call.wait())
	require.Regexp(t, `its lease has ended|the worker was taken away while the function ran`, call.stderr.String())
	require.True(t, eventually(programTimeout, func() bool { return len(list()) == 0 }))
	c.end()
}

// A manager that is not there, and flags that are for others to decide, are named.
func TestClusterMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "a", "a")
	absent := "http://127.0.0.1:1"
	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{exitUsage, "which manager? name it with --manager URL", []string{"nodes"}},
		{exitFailed, "connection refused", []string{"nodes", "--manager", absent}},
		{exitFailed, "connection refused", []string{"run", "-f", "echo", "--manager", absent, "a"}},
		{exitUsage, "--trust-code: it is for the nodes of a cluster to say", []string{"run", "-f", "echo", "--manager", absent, "--trust-code", "a"}},
		{exitUsage, "which NODE?", []string{"drain", "--manager", absent}},
		{exitUsage, "--listen 10.0.0.1:80: is beyond the loopback, where others can reach it: give --tls-cert and --tls-key and --tokens as well", []string{"manager", "--listen", "10.0.0.1:80"}},
		{exitUsage, "--listen nowhere: give unix:PATH", []string{"agent", "--listen", "nowhere", "--state", "state"}},
		{exitUsage, "--cores 100000: must be 1 to", []string{"agent", "--cores", "100000", "--state", "state"}},
		{exitUsage, "--tenant-cores -1: must be 1 or more", []string{"agent", "--tenant-cores", "-1", "--state", "state"}},
		{exitUsage, "--name: the name \"a b\"", []string{"agent", "--name", "a b", "--state", "state"}},
	} {
		status, _, stderr := run(t, dir, c.args...)
		require.Equal(t, c.status, status, "%v: %s", c.args, stderr)
		require.Contains(t, stderr, c.want, "%v", c.args)
	}
}

// An agent that is killed in the middle of leases has billed what was done, within a
// second of time, when it was started again; nothing of it is left.
func TestKilledAgentIsSettled(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	dir := t.TempDir()
	at := func() *started { return c.agent("a", "--cores", "1", "--state", dir+"/state") }
	first := at()
	const count = 600
	s := start(t, dir, append([]string{"run", "--manager", c.url, "-f", "test-work", "-o", "out"}, inputs(t, dir, count)...)...)
	s.awaitResults(60)
	first.signal(syscall.SIGKILL)
	require.Equal(t, -1, first.wait())
	done := len(namesIn(t, dir, "out"))
	at()
	require.Equal(t, exitOK, s.wait(), "%s%s", &s.stdout, &s.stderr)
	require.Len(t, namesIn(t, dir, "out"), count)
	type row struct {
		Node        string `json:"node"`
		Epoch       uint64 `json:"epoch"`
		Invocations uint64 `json:"invocations"`
		CoreNS      uint64 `json:"core_ns"`
	}
	var rows []row
	require.True(t, eventually(programTimeout, func() bool {
		rows = decodeLines[row](t, succeed(t, dir, "bill", "--state", "state", "--by", "lease", "--format", "json"))
		return len(rows) == 2
	}), "%v", rows)
	require.EqualValues(t, 1, rows[0].Epoch)
	require.GreaterOrEqual(t, rows[0].Invocations, uint64(done-1), "what was done before")
	require.EqualValues(t, 2, rows[1].Epoch)
	sum := rows[0].Invocations + rows[1].Invocations
	require.GreaterOrEqual(t, sum, uint64(count))
	require.LessOrEqual(t, sum, uint64(count+1), "the call that was lost may have been made twice")
	require.Positive(t, rows[1].CoreNS)
	require.Empty(t, namesIn(t, dir, "state/pages"))
	var told []row
	require.True(t, eventually(programTimeout, func() bool {
		told = decodeLines[row](t, succeed(t, dir, "bill", "--manager", c.url, "--by", "node", "--format", "json"))
		return len(told) == 1 && told[0].Node == "a" && told[0].Invocations == sum
	}), "the manager was told all of it: %d, and not %v%s", sum, told, &c.agents["a"].stderr)
	c.end()
	require.Empty(t, namesIn(t, c.dir, "."), "the next agent has removed what the killed one left, too")
}

// With --yield-load 0 the owner gets all cores as soon as other programs run: the test is
// one.
func TestYieldLoad(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.agent("a", "--cores", "2", "--yield-load", "0")
	c.agent("b", "--cores", "2")
	require.True(t, eventually(programTimeout, func() bool { return c.nodes()["a"].FreeCores == 0 }), "%v%s", c.nodes(), &c.agents["a"].stderr)
	require.Equal(t, 2, c.nodes()["b"].FreeCores)
	c.end()
}

// A client that is stopped past the life of its leases has lost them when it wakes up:
// its processes are gone, the cores are others', and its work continues with new ones.
func TestStoppedClient(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.agent("a", "--cores", "1", "--max-life", "300ms")
	dir := t.TempDir()
	const count = 200
	s := start(t, dir, append([]string{"run", "--manager", c.url, "-f", "test-work", "-o", "out"}, inputs(t, dir, count)...)...)
	s.awaitResults(50)
	s.signal(syscall.SIGSTOP)
	require.True(t, eventually(programTimeout, func() bool { return c.nodes()["a"].FreeCores == 1 }), "%v", c.nodes())
	write(t, dir, "b", "b")
	succeed(t, dir, "run", "-f", "echo", "--manager", c.url, "--workers", "1", "-o", "other", "b")
	s.signal(syscall.SIGCONT)
	require.Equal(t, exitOK, s.wait(), "%s%s", &s.stdout, &s.stderr)
	require.Len(t, namesIn(t, dir, "out"), count)
	require.Regexp(t, `(?m)^  lost and replaced: 1 worker process; tried again: \d+ inputs?$`, s.stdout.String())
	c.end()
}

// What run says when a cluster has no room is clear, and it continues when there is some.
func TestClusterIsFull(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.agent("a", "--cores", "1")
	_, release := c.hold()
	require.True(t, eventually(programTimeout, func() bool { return c.nodes()["a"].FreeCores == 0 }))
	dir := t.TempDir()
	write(t, dir, "b", "b")
	stderr := fails(t, dir, "run", "-f", "echo", "--manager", c.url, "-o", "out", "b")
	require.Contains(t, stderr, "no core of the cluster is free ('rfaas nodes' shows it); say with --workers for how many to wait")
	waiting := start(t, dir, "run", "-f", "echo", "--manager", c.url, "--workers", "1", "-o", "out", "b")
	time.Sleep(10 * time.Millisecond)
	release()
	require.Equal(t, exitOK, waiting.wait(), "%s", &waiting.stderr)
	c.end()
}
