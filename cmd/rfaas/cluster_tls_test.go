package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc/manager"
)

// ownNetwork tells the test binary that it has a network of its own.
const ownNetwork = "RFAAS_TEST_OWN_NETWORK"

const beyond = "192.0.2.7" // of a network for documentation

// inOwnNetwork runs a test in a network namespace with an address that is not the
// loopback's, and says whether this is the process in it.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownNetwork) == t.Name() {
		for _, args := range [][]string{{"link", "set", "lo", "up"}, {"address", "add", beyond + "/32", "dev", "lo"}} {
			out, err := exec.Command("ip", args...).CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		return true
	}
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("a network of its own needs root")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", fmt.Sprintf("-test.v=%t", testing.Verbose()))
	cmd.Env = append(os.Environ(), ownNetwork+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return false
}

// seat is where a server runs.
type seat struct {
	host, device string
	namespace    string   // of the network; empty: this one
	flags        []string // what it needs besides
}

// enter has a command run in the seat's network.
func (s *seat) enter(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if s.namespace == "" {
		return
	}
	self, err := os.Executable()
	require.NoError(t, err)
	cmd.Path, err = exec.LookPath("ip")
	require.NoError(t, err)
	cmd.Args = append([]string{"ip", "netns", "exec", s.namespace, self}, cmd.Args[1:]...)
}

// secureCluster is a manager and an agent, n1, that others can reach. Its files are ca,
// tokens, and a token's for each name.
type secureCluster struct {
	*testCluster
	dir  string
	head seat // of the manager, and of clients
}

// newSecureCluster has a manager and an agent in their seats.
func newSecureCluster(t *testing.T, head, node seat) *secureCluster {
	t.Helper()
	dir := t.TempDir()
	newAuthority(t, dir).server("server", time.Now().Add(time.Hour), head.host, node.host)
	of := map[string]string{"alice": "tenant", "n1": "node", "n2": "node", "olga": "owner"}
	var known string
	n := 0
	for name, role := range of {
		n++
		known += fmt.Sprintln(role, name, testToken(n))
		secret(t, dir, name, testToken(n)+"\n")
	}
	secret(t, dir, "tokens", known)
	secret(t, dir, "stranger", testToken(99))
	c := &secureCluster{testCluster: &testCluster{t: t}, dir: dir, head: head}
	serving := []string{"--tls-cert", dir + "/server.crt", "--tls-key", dir + "/server.key", "--tokens", dir + "/tokens"}
	c.testCluster = &testCluster{t: t, agents: map[string]*started{}, manager: c.start(append(append([]string{
		"manager", "--listen", head.host + ":0", "--state", dir + "/ledger", "--accounting", "tcp:" + head.host + ":0", "--transport", head.device}, serving...), head.flags...)...)}
	c.url = c.said(c.manager, `manager at (https://`+head.host+`:\d+)\n`)[1]
	s := startWith(t, dir, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+dir)
		node.enter(t, cmd)
	}, append(append([]string{
		"agent", "--name", "n1", "--state", dir + "/state", "--cores", "1", "--listen", "tcp:" + node.host + ":0", "--admin", node.host + ":0", "--transport", node.device,
		"--manager", c.url, "--tls-ca", dir + "/ca", "--token-file", dir + "/n1"}, serving...), node.flags...)...)
	c.said(s, `node n1: .* owner at https://`+node.host+`:\d+\n  `+schemeOf(node.device)+` over tcp:`+node.host+`:`)
	c.agents["n1"] = s
	require.True(t, eventually(programTimeout, func() bool { return c.known() != nil }), "%s", &s.stderr)
	return c
}

// start starts the program where the manager is.
func (c *secureCluster) start(args ...string) *started {
	c.t.Helper()
	return startWith(c.t, c.dir, func(cmd *exec.Cmd) { c.head.enter(c.t, cmd) }, args...)
}

// run runs it there.
func (c *secureCluster) run(args ...string) (status int, stdout, stderr string) {
	c.t.Helper()
	s := c.start(args...)
	status = s.wait()
	return status, s.stdout.String(), s.stderr.String()
}

// as are the flags of a client with a token.
func (c *secureCluster) as(name string) []string {
	return []string{"--manager", c.url, "--tls-ca", c.dir + "/ca", "--token-file", c.dir + "/" + name}
}

// known is what the manager knows of n1.
func (c *secureCluster) known() *manager.Node {
	c.t.Helper()
	status, stdout, stderr := c.run(append([]string{"nodes", "--json"}, c.as("alice")...)...)
	require.Equal(c.t, exitOK, status, stderr)
	if stdout == "" {
		return nil
	}
	var n manager.Node
	require.NoError(c.t, json.Unmarshal([]byte(stdout), &n))
	require.Equal(c.t, "n1", n.ID)
	return &n
}

// works has alice call a function, and strangers not.
func (c *secureCluster) works(device string) {
	t, dir := c.t, c.dir
	t.Helper()
	require.True(t, c.known().Addresses[0].TLS)
	call := append([]string{"invoke", "test-gate", "--transport", device, "--in", write(t, dir, "gate", dir+"/open")}, c.as("alice")...)
	calling := start(t, dir, call...)
	var leases []nodeLease
	require.True(t, eventually(programTimeout, func() bool {
		leases = decodeLines[nodeLease](t, succeed(t, dir, append([]string{"lease", "list", "--json"}, c.as("olga")...)...))
		return len(leases) > 0
	}), "%s", &calling.stderr)
	require.Equal(t, "alice", leases[0].Tenant, "whatever the user's name is")

	invoke := []string{"invoke", "echo", "--data", "x", "--transport", device}
	for _, strange := range []struct {
		who, want string
		args      []string
	}{
		{"stranger", "the token is not known here", invoke},
		{"n1", "node n1 refuses a lease: the tenant is not authenticated: the token is that of the node n1, and one of a tenant is needed here", invoke},
		{"olga", "the token is that of the owner olga, and one of a tenant is needed here", invoke},
		{"alice", "node n1: the token is that of the tenant alice, and one of an owner is needed here", []string{"drain", "n1"}},
		{"n1", "node n1: the token is that of the node n1, and one of an owner is needed here", []string{"lease", "end", "n1", leases[0].ID}},
	} {
		status, stdout, stderr := run(t, dir, append(strange.args, c.as(strange.who)...)...)
		require.Equal(t, exitFailed, status)
		require.Empty(t, stdout)
		require.Contains(t, stderr, strange.want)
	}
	stderr := fails(t, dir, append(invoke, "--manager", c.url, "--tls-ca", dir+"/ca")...)
	require.Contains(t, stderr, "there is no token, and one of a tenant or a node or an owner is needed here: give it with --token-file")

	for who, want := range map[string]string{
		"n2":    `the token is that of the node n2, and not of \"n9\"`,
		"alice": "the token is that of the tenant alice, and one of a node is needed here",
	} {
		s := start(t, dir, append([]string{"agent", "--name", "n9", "--state", dir + "/" + who + "-state", "--cores", "1"}, c.as(who)...)...)
		require.True(t, eventually(programTimeout, func() bool { return s.stderr.String() != "" }))
		require.Contains(t, s.stderr.String(), "manager refuses")
		require.Contains(t, s.stderr.String(), want)
		s.signal(syscall.SIGTERM)
		require.Equal(t, exitOK, s.wait())
	}
	write(t, dir, "open", "")
	require.Equal(t, exitOK, calling.wait(), "%s", &calling.stderr)
}

// end drains the node, as its owner, and ends all.
func (c *secureCluster) end() {
	c.t.Helper()
	status, _, stderr := c.run(append([]string{"drain", "n1"}, c.as("olga")...)...)
	require.Equal(c.t, exitOK, status, stderr)
	require.True(c.t, eventually(programTimeout, func() bool { return c.known().Draining }))
	c.billed()
	for _, s := range []*started{c.agents["n1"], c.manager} {
		s.signal(syscall.SIGTERM)
		require.Equal(c.t, exitOK, s.wait(), "%s", &s.stderr)
		require.NotContains(c.t, s.stderr.String(), "level=")
	}
}

// billed waits until the manager has a bill of alice's, which can still become more.
func (c *secureCluster) billed() {
	c.t.Helper()
	var status int
	var stdout, stderr string
	require.True(c.t, eventually(programTimeout, func() bool {
		status, stdout, stderr = c.run(append([]string{"bill", "--by", "tenant,node", "--format", "csv"}, c.as("alice")...)...)
		require.Equal(c.t, exitOK, status, stderr)
		return strings.Contains(stdout, "\nalice,n1,")
	}), "%s%s", stdout, &c.agents["n1"].stderr)
}

// With certificates and tokens a cluster is what it is without.
func TestClusterOverTLS(t *testing.T) {
	t.Parallel()
	const device = "softroce://127.0.0.1:0"
	c := newSecureCluster(t, seat{host: "127.0.0.1", device: device}, seat{host: "127.0.0.1", device: device})
	c.works(device)
	c.end()
}

// And so it is where others can reach it.
func TestClusterBeyondLoopback(t *testing.T) {
	t.Parallel()
	if !inOwnNetwork(t) {
		return
	}
	const device = "softroce://" + beyond + ":0?trust-network"
	c := newSecureCluster(t, seat{host: beyond, device: device}, seat{host: beyond, device: device})
	c.works(device)
	status, _, stderr := run(t, c.dir, "nodes", "--manager", "http"+c.url[len("https"):])
	require.Equal(t, exitUsage, status)
	require.Contains(t, stderr, "it is beyond the loopback, where others can listen: write https://")
	agent := []string{"agent", "--name", "n3", "--state", c.dir + "/n3", "--listen", "tcp:" + beyond + ":0"}
	serving := []string{"--tls-cert", c.dir + "/server.crt", "--tls-key", c.dir + "/server.key", "--tokens", c.dir + "/tokens"}
	for want, args := range map[string][]string{
		"give --tls-cert and --tls-key and --tokens as well":                                agent,
		"whoever can send and read packets on the network of 192.0.2.7":                     append(append(agent, "--transport", "softroce://"+beyond), serving...),
		"beyond the loopback softroce needs an address: softroce://ADDRESS:0?trust-network": append(append(agent, "--transport", "softroce:"), serving...),
		"--listen 0.0.0.0:1: clients are told this address: give the one at which they":     append([]string{"agent", "--listen", "tcp:0.0.0.0:1"}, serving...),
		"--transport verbs: RoCE packets are neither encrypted nor authenticated: whoever":  {"agent", "--transport", "verbs:"},
	} {
		status, _, stderr := run(t, c.dir, args...)
		require.NotEqual(t, exitOK, status)
		require.Contains(t, stderr, want)
	}
	c.end()
}
