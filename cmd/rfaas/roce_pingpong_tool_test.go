package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/transport"
)

// toolTimeout bounds one game in an emulated machine.
const toolTimeout = 5 * time.Minute

// rdma is the machine that ci/rxe makes.
type rdma struct {
	device                    string
	address, address6         string
	peer                      string // network namespace
	peerAddress, peerAddress6 string
	gid, gid6                 string // indexes of the device's RoCE v2 GIDs
	servers                   int    // started so far
	program                   string // the test binary
	t                         *testing.T
}

// needRDMA skips a test where there is no RDMA device.
func needRDMA(t *testing.T) *rdma {
	t.Helper()
	if os.Getenv("RXE_DEVICE") == "" {
		t.Skip("RXE_DEVICE does not name an RDMA device: run this with ci/rxe/run (go test -exec)")
	}
	_, err := exec.LookPath("ibv_rc_pingpong")
	require.NoError(t, err, "install the Debian package ibverbs-utils")
	m := &rdma{
		device: os.Getenv("RXE_DEVICE"), address: os.Getenv("RXE_ADDRESS"), address6: os.Getenv("RXE_ADDRESS6"),
		peer: os.Getenv("RXE_PEER_NAMESPACE"), peerAddress: os.Getenv("RXE_PEER_ADDRESS"), peerAddress6: os.Getenv("RXE_PEER_ADDRESS6"), t: t,
	}
	m.gid, m.gid6 = m.gidIndex(m.address), m.gidIndex(m.address6)
	m.program, err = os.Executable()
	require.NoError(t, err)
	return m
}

// gidIndex finds the GID by which the device has an address in RoCE v2.
func (m *rdma) gidIndex(address string) string {
	m.t.Helper()
	port := filepath.Join("/sys/class/infiniband", m.device, "ports/1")
	gid := netip.AddrFrom16(netip.MustParseAddr(address).As16()).StringExpanded()
	if netip.MustParseAddr(address).Is4() {
		four := netip.MustParseAddr(address).As4()
		gid = fmt.Sprintf("0000:0000:0000:0000:0000:ffff:%02x%02x:%02x%02x", four[0], four[1], four[2], four[3])
	}
	for _, index := range namesIn(m.t, port, "gids") {
		kind, _ := os.ReadFile(filepath.Join(port, "gid_attrs/types", index)) // an error for those that are empty
		if strings.TrimSpace(read(m.t, port, "gids", index)) == gid && string(bytes.TrimSpace(kind)) == "RoCE v2" {
			return index
		}
	}
	require.FailNow(m.t, "the device has no RoCE v2 GID of "+address)
	return ""
}

// counters are those of the device that tell of trouble.
func (m *rdma) counters() string {
	var all []string
	for _, name := range []string{"completer_retry_err", "duplicate_request", "out_of_seq_request", "rcvd_seq_err", "send_rnr_err", "rcvd_rnr_err"} {
		all = append(all, name+" "+strings.TrimSpace(read(m.t, "/sys/class/infiniband", m.device, "ports/1/hw_counters", name)))
	}
	return strings.Join(all, ", ")
}

// player is a way to run one end.
type player struct {
	host   string   // for the other end's handshake
	prefix []string // of the command
	tool   bool
	flags  []string
	needs  string // transport that not every build has
}

func (m *rdma) tool(gid string) player {
	return player{host: m.address, tool: true, prefix: []string{"ibv_rc_pingpong"}, flags: []string{"-d", m.device, "-g", gid}}
}

func (m *rdma) softroce(address string) player {
	return player{
		host:   m.peerAddress,
		prefix: []string{"ip", "netns", "exec", m.peer, m.program, "roce", "pingpong"},
		flags:  []string{"--transport", "softroce://" + address + "?trust-network"},
	}
}

func (m *rdma) verbs(address string) player {
	return player{
		host:   m.address,
		prefix: []string{m.program, "roce", "pingpong"},
		flags:  []string{"--transport", "verbs://" + address},
		needs:  "verbs",
	}
}

// running is an end that plays.
type running struct {
	t              *testing.T
	what           string
	cmd            *exec.Cmd
	stdout, stderr transcript
	kill           func()
	ended          chan struct{}
}

func (m *rdma) start(p player, args ...string) *running {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), toolTimeout)
	line := slices.Concat(p.prefix, p.flags, args)
	r := &running{t: m.t, what: strings.Join(line, " "), cmd: exec.CommandContext(ctx, line[0], line[1:]...), ended: make(chan struct{})}
	r.cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	r.kill = cancel
	require.NoError(m.t, r.cmd.Start())
	go func() {
		r.cmd.Wait()
		close(r.ended)
	}()
	m.t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

// serve starts a server and returns the port where it listens.
func (m *rdma) serve(p player, args ...string) (r *running, port string) {
	m.t.Helper()
	if !p.tool {
		r = m.start(p, append(args, "-p", "0")...)
		require.True(m.t, eventually(toolTimeout, func() bool { return r.hasEnded() || pingpongListening.MatchString(r.stdout.String()) }))
		found := pingpongListening.FindStringSubmatch(r.stdout.String())
		require.NotNil(m.t, found, r)
		return r, found[1]
	}
	m.servers++
	number := 18515 + m.servers
	r = m.start(p, append(args, "-p", fmt.Sprint(number))...)
	// It writes nothing before it has ended, and takes every connection for the client.
	require.True(m.t, eventually(toolTimeout, func() bool {
		const listening = " 0A " // TCP_LISTEN
		for _, table := range []string{"tcp", "tcp6"} {
			for line := range strings.SplitSeq(read(m.t, "/proc/net", table), "\n") {
				if strings.Contains(line, fmt.Sprintf(":%04X ", number)) && strings.Contains(line, listening) {
					return true
				}
			}
		}
		return r.hasEnded()
	}))
	require.False(m.t, r.hasEnded(), r)
	return r, fmt.Sprint(number)
}

func (r *running) hasEnded() bool {
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

// wait returns the exit status.
func (r *running) wait() int {
	<-r.ended
	return r.cmd.ProcessState.ExitCode()
}

// String is what it said.
func (r *running) String() string {
	return fmt.Sprintf("%s: %v\n%s%s", r.what, r.cmd.ProcessState, &r.stdout, &r.stderr)
}

// play has two ends play until both have succeeded.
func (m *rdma) play(server, client player, args ...string) {
	m.t.Helper()
	s, port := m.serve(server, args...)
	c := m.start(client, append(args, "-p", port, server.host)...)
	one, other := c, s
	select {
	case <-c.ended:
	case <-s.ended:
		one, other = s, c
	}
	if one.wait() != 0 {
		other.kill() // it might wait for long
	}
	said := [2][]string{}
	for i, r := range []*running{c, s} {
		require.Zero(m.t, r.wait(), "%v\n%v", c, s)
		require.Empty(m.t, r.stderr.String())
		said[i] = pingpongOutput.FindStringSubmatch(r.stdout.String())
		require.NotNil(m.t, said[i], "%v", r) // the tool's complaints would be between these lines
	}
	require.Equal(m.t, said[0][1:4], said[1][4:7], "the client's address")
	require.Equal(m.t, said[0][4:7], said[1][1:4], "the server's address")
	require.Equal(m.t, said[0][7:], said[1][7:])
	lines := strings.Split(strings.TrimSpace(c.stdout.String()), "\n")
	m.t.Logf("%s; so far %s", lines[len(lines)-1], m.counters())
}

// TestPingpongAgainstTool plays with the unmodified ibv_rc_pingpong on the kernel's
// software RoCE, in both roles; both ends look at what comes.
func TestPingpongAgainstTool(t *testing.T) {
	m := needRDMA(t)
	type variant struct {
		name  string
		other player
		gid   string
		args  [][]string
	}
	// Both ends sleep: where they and the kernel share two processors, pollers would
	// hinder it.
	games := [][]string{{"-n", "100"}, {"-e", "-n", "100", "-s", "65536", "-m", "4096", "-r", "3"}}
	sizes := []string{"1"}
	if effort.Whole() {
		sizes = []string{"1", "1024", "4096", "65536"}
	}
	for _, size := range sizes {
		games = append(games, []string{"-e", "-n", strconv.Itoa(effort.Of(200, 1000)), "-s", size})
	}
	ipv6 := [][]string{{"-e", "-n", "200", "-s", "10000"}}
	variants := []variant{
		{"softroce", m.softroce(m.peerAddress), m.gid, games},
		{"softroce over IPv6", m.softroce("[" + m.peerAddress6 + "]"), m.gid6, ipv6},
	}
	if slices.Contains(transport.Schemes(), "verbs") {
		variants = append(variants,
			variant{"verbs", m.verbs(m.device), m.gid, games},
			variant{"verbs over IPv6", m.verbs("[" + m.address6 + "]"), m.gid6, ipv6},
		)
	}
	for _, v := range variants {
		for _, args := range v.args {
			for _, role := range []string{"client", "server"} {
				t.Run(fmt.Sprintf("%s/%s/%s", v.name, role, strings.Join(args, " ")), func(t *testing.T) {
					m.t = t
					tool, ours := m.tool(v.gid), v.other
					args := append([]string{"-c"}, args...)
					if role == "client" {
						m.play(tool, ours, args...)
					} else {
						m.play(ours, tool, args...)
					}
				})
			}
		}
	}
}

// TestPingpongTogether: softroce and verbs, both ends ours.
func TestPingpongTogether(t *testing.T) {
	m := needRDMA(t)
	if !slices.Contains(transport.Schemes(), "verbs") {
		t.Skip("this build has no verbs")
	}
	m.play(m.verbs(m.device), m.softroce(m.peerAddress), "-c", "-e", "-s", "65536", "-n", "200")
	m.play(m.softroce(m.peerAddress), m.verbs(m.device), "-c", "-e", "-s", "65536", "-n", "200")
}

// TestPingpongToolDisagrees: what is said when the tool was told something else.
func TestPingpongToolDisagrees(t *testing.T) {
	m := needRDMA(t)
	softroce, verbs := m.softroce(m.peerAddress), m.verbs(m.device)
	for name, test := range map[string]struct {
		end        player
		serves     bool // this end
		ours, tool []string
		want       string
	}{
		"our messages are larger":        {softroce, false, []string{"-s", "4096"}, []string{"-s", "1024"}, "use the same --size"},
		"its messages are larger":        {softroce, true, []string{"-s", "1024"}, []string{"-s", "4096"}, "use the same --size at both ends"},
		"our messages are larger, verbs": {verbs, false, []string{"-s", "4096"}, []string{"-s", "1024"}, "use the same --size"},
		"its messages are larger, verbs": {verbs, true, []string{"-s", "1024"}, []string{"-s", "4096"}, "use the same --size at both ends"},
		"its messages are smaller":       {softroce, true, []string{"-s", "4096"}, []string{"-s", "1024"}, "the peer's message has 1024 bytes and not 4096"},
		"its messages are unchecked":     {softroce, true, []string{"-c"}, nil, "does the client run with --chk"},
		"it plays less":                  {softroce, false, []string{"-n", "1000", "--timeout", "10s"}, []string{"-n", "10"}, "after 10 of 1000 iterations: "},
		"it was given no GID":            {softroce, true, nil, []string{"-g", "-1"}, "the peer told no GID: give ibv_rc_pingpong the index of its RoCE v2 GID"},
		"no GID at a server":             {softroce, false, nil, []string{"-g", "-1"}, "the peer did not tell its address: it hung up; see what it says: ibv_rc_pingpong needs the index of its RoCE v2 GID (-g)"},
		"a GID of IPv6":                  {softroce, true, nil, []string{"-g", m.gid6}, "are of two families"},
	} {
		t.Run(name, func(t *testing.T) {
			m.t = t
			if test.end.needs != "" && !slices.Contains(transport.Schemes(), test.end.needs) {
				t.Skip("this build has no " + test.end.needs)
			}
			tool, ours := m.tool(m.gid), test.end
			var r *running
			if test.serves {
				var port string
				r, port = m.serve(ours, test.ours...)
				m.start(tool, append(test.tool, "-p", port, ours.host)...)
			} else {
				_, port := m.serve(tool, test.tool...)
				r = m.start(ours, append(test.ours, "-p", port, tool.host)...)
			}
			require.Equal(t, exitFailed, r.wait(), r)
			require.Contains(t, r.stderr.String(), test.want)
		})
	}
}
