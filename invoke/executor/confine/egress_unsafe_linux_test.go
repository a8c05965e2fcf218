//go:build amd64 || arm64

package confine

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// How the sender sends: the first word of a line.
const (
	plain     = "plain"
	burst     = "burst"     // three segments
	connected = "connected" // to the address in its environment
	routed    = "routed"    // through the host in its environment
	viaRaw    = "raw"
)

// optionPort is the UDP port that a loose source route would be mistaken for.
const optionPort = 131<<8 | 7

// sender reads lines of a way and a destination, and sends a datagram for each, from sockets
// that it opened before Enter.
func sender() error {
	p := must(Inherited())
	open := func(family, kind int) int {
		fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, unix.IPPROTO_UDP)
		if err != nil {
			return -1
		}
		return fd
	}
	v4, v6, fixed, raw := open(unix.AF_INET, unix.SOCK_DGRAM), open(unix.AF_INET6, unix.SOCK_DGRAM), open(unix.AF_INET, unix.SOCK_DGRAM), open(unix.AF_INET, unix.SOCK_RAW)
	if to, err := netip.ParseAddrPort(os.Getenv("CONFINE_TEST_CONNECTED")); err == nil {
		if err := unix.Connect(fixed, sockaddrOf(to)); err != nil {
			return err
		}
	}
	if hop, err := netip.ParseAddr(os.Getenv("CONFINE_TEST_ROUTED")); err == nil {
		options := slices.Concat([]byte{1, 1, optionPort >> 8, optionPort & 0xff, 4}, hop.AsSlice(), []byte{0, 0, 0})
		if err := unix.SetsockoptString(fixed, unix.SOL_IP, unix.IP_OPTIONS, string(options)); err != nil {
			return err
		}
	}
	must(Enter(p))
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		way, text, _ := strings.Cut(lines.Text(), " ")
		to := must(netip.ParseAddrPort(text))
		var err error
		fd := v4
		if to.Addr().Is6() {
			fd = v6
		}
		switch way {
		case connected:
			_, err = unix.Write(fixed, []byte("hello"))
		case viaRaw:
			packet := binary.BigEndian.AppendUint16(nil, to.Port()) // the same source port
			packet = binary.BigEndian.AppendUint16(packet, to.Port())
			packet = append(packet, 0, 13, 0, 0)
			err = unix.Sendto(raw, append(packet, "hello"...), 0, sockaddrOf(netip.AddrPortFrom(to.Addr(), 0)))
		case burst:
			control := make([]byte, unix.CmsgSpace(2))
			h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
			h.Level, h.Type = unix.SOL_UDP, unix.UDP_SEGMENT
			h.SetLen(unix.CmsgLen(2))
			binary.NativeEndian.PutUint16(control[unix.CmsgLen(0):], 5)
			_, err = unix.SendmsgN(fd, []byte("hellohellohello"), control, sockaddrOf(to), 0)
		case routed:
			err = unix.Sendto(fixed, []byte("hello"), 0, sockaddrOf(to))
		default:
			err = unix.Sendto(fd, []byte("hello"), 0, sockaddrOf(to))
		}
		fmt.Println(name(err))
	}
	return lines.Err()
}

func sockaddrOf(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// needEgress skips a test if packets cannot be filtered.
func needEgress(t *testing.T, h *Host) {
	t.Helper()
	if !isRoot() {
		t.Skip(errEgressRoot)
	}
	err, peers := h.lacking[version2], -1
	if err == nil {
		peers, err = newPeers()
	}
	if err != nil {
		lacking(t, "filters of packets", err)
	}
	unix.Close(peers)
}

// listener is a UDP socket of the test.
func listener(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(address)))
	if err != nil && strings.HasPrefix(address, "[") {
		lacking(t, "IPv6 on the loopback", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func addressOf(c *net.UDPConn) netip.AddrPort {
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// said waits for a datagram.
func said(t *testing.T, c *net.UDPConn) string {
	t.Helper()
	b := make([]byte, 100)
	require.NoError(t, c.SetReadDeadline(time.Now().Add(time.Minute)))
	return string(b[:must(c.Read(b))])
}

// silent requires that nothing has arrived. On the loopback, a datagram arrives before sending
// returns.
func silent(t *testing.T, c *net.UDPConn) {
	t.Helper()
	socket := must(c.SyscallConn())
	var err error
	require.NoError(t, socket.Control(func(fd uintptr) {
		_, _, err = unix.Recvfrom(int(fd), make([]byte, 100), unix.MSG_DONTWAIT)
	}))
	require.ErrorIs(t, err, unix.EAGAIN)
}

// send makes the sender send, and returns the result.
func (r *running) send(t *testing.T, way string, to netip.AddrPort) string {
	t.Helper()
	must(fmt.Fprintln(r.in, way, to))
	line, err := r.out.ReadString('\n')
	require.NoError(t, err, r.errs)
	return strings.TrimSpace(line)
}

// A process can send only to its peers, whatever it does with its sockets.
func TestEgress(t *testing.T) {
	ways(t, func(t *testing.T, h *Host, p Policy) {
		needEgress(t, h)
		for family, loopback := range map[string]string{"IPv4": "127.0.0.1:0", "IPv6": "[::1]:0"} {
			t.Run(family, func(t *testing.T) {
				peer, stranger := listener(t, loopback), listener(t, loopback)
				p.Egress, p.Require = true, append(p.Require, Egress)
				r := launch(t, h, "sender", p).ready(t)
				require.Equal(t, "EPERM", r.send(t, plain, addressOf(peer)), "it has no peer yet")
				require.NoError(t, r.AllowPeer(addressOf(peer)))
				require.Equal(t, "allowed", r.send(t, plain, addressOf(peer)))
				require.Equal(t, "hello", said(t, peer))
				require.Equal(t, "EPERM", r.send(t, plain, addressOf(stranger)), "another port")
				silent(t, stranger)
				if family == "IPv4" {
					port := addressOf(peer).Port()
					elsewhere := listener(t, fmt.Sprintf("127.0.0.2:%d", port))
					require.Equal(t, "EPERM", r.send(t, plain, addressOf(elsewhere)), "another address")
					silent(t, elsewhere)
				}
				if got := r.send(t, burst, addressOf(peer)); got != "EINVAL" && got != "EIO" { // a kernel without segmentation
					require.Equal(t, "allowed", got)
					for range 3 {
						require.Equal(t, "hello", said(t, peer))
					}
				}
				require.Equal(t, "EPERM", r.send(t, burst, addressOf(stranger)))
				silent(t, stranger)

				require.NoError(t, r.AllowPeer(addressOf(peer)), "a second connection")
				require.NoError(t, r.ForgetPeer(addressOf(peer)))
				require.Equal(t, "allowed", r.send(t, plain, addressOf(peer)))
				require.NoError(t, r.ForgetPeer(addressOf(peer)))
				require.Equal(t, "EPERM", r.send(t, plain, addressOf(peer)))
				require.ErrorContains(t, r.ForgetPeer(addressOf(peer)), "was not allowed")
			})
		}
	})
}

// The filter applies to a socket that was connected before Enter, a raw one, and one with a source
// route.
func TestEgressOfOtherSockets(t *testing.T) {
	h := newHost(t)
	needEgress(t, h)
	peer, stranger := listener(t, "127.0.0.1:0"), listener(t, "127.0.0.1:0")
	start := func(env string) *running {
		p := policyFor(h)
		p.Egress, p.Env = true, []string{env}
		p.Require, p.Without = []Measure{Egress, Seccomp}, []Measure{UID, Namespaces} // it opens a raw socket
		return launch(t, h, "sender", p).ready(t)
	}
	for _, to := range []*net.UDPConn{peer, stranger} {
		r := start(fmt.Sprint("CONFINE_TEST_CONNECTED=", addressOf(to)))
		require.NoError(t, r.AllowPeer(addressOf(peer)))
		want := "EPERM"
		if to == peer {
			want = "allowed"
		}
		require.Equal(t, want, r.send(t, connected, addressOf(to)))
		require.Equal(t, "EPERM", r.send(t, viaRaw, addressOf(to)), "not even to a peer: it could forge the source")
	}
	require.Equal(t, "hello", said(t, peer))
	silent(t, peer)
	silent(t, stranger)

	hop := netip.MustParseAddr("127.79.0.1")
	r := start(fmt.Sprint("CONFINE_TEST_ROUTED=", hop))
	require.NoError(t, r.AllowPeer(netip.AddrPortFrom(hop, optionPort)))
	require.NotEqual(t, "EPERM", r.send(t, plain, netip.AddrPortFrom(hop, optionPort)))
	require.Equal(t, "EPERM", r.send(t, routed, addressOf(stranger)), "the hop would forward it")
}

// The filter is removed with its process.
func TestEgressLeavesNothing(t *testing.T) {
	h := newHost(t)
	needEgress(t, h)
	p := policyFor(h)
	p.Egress, p.Require = true, append(p.Require, Egress)
	r := launch(t, h, "sender", p).ready(t)
	var group string
	for _, g := range r.groups {
		if g.v2 {
			group = g.dir
		}
	}
	id := attached(t, group)
	require.True(t, programExists(t, id))
	r.in.Close()
	require.True(t, r.end(t).Success(), r.errs)
	must(r.Close())
	require.NoDirExists(t, group)
	require.Eventually(t, func() bool { return !programExists(t, id) }, time.Minute, time.Millisecond)
	require.ErrorContains(t, r.AllowPeer(netip.MustParseAddrPort("127.0.0.1:1")), "has ended")
}

// attached is the id of the one egress program of a group.
func attached(t *testing.T, group string) uint32 {
	t.Helper()
	fd := must(unix.Open(group, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0))
	defer unix.Close(fd)
	var ids [4]uint32
	query := struct {
		target, kind, flags, attached uint32
		ids                           unsafe.Pointer
		count, _                      uint32
	}{target: uint32(fd), kind: unix.BPF_CGROUP_INET_EGRESS, ids: unsafe.Pointer(&ids), count: uint32(len(ids))}
	must(bpf(unix.BPF_PROG_QUERY, &query))
	require.EqualValues(t, 1, query.count)
	return ids[0]
}

func programExists(t *testing.T, id uint32) bool {
	t.Helper()
	fd, err := bpf(unix.BPF_PROG_GET_FD_BY_ID, &struct{ id, next, flags uint32 }{id: id})
	if err == nil {
		unix.Close(fd)
		return true
	}
	require.ErrorIs(t, err, unix.ENOENT)
	return false
}

// If packets cannot be filtered and the policy does not require it, the process starts, and
// the report says what would help.
func TestEgressLacking(t *testing.T) {
	h := newHost(t)
	h.lacking[version2] = errNoVersion2
	for i, c := range h.hostGroups {
		if c.v2 && len(c.controllers) > 0 {
			t.Skip("control groups of version 2 are needed for limits here")
		}
		if c.v2 {
			h.hostGroups = append(h.hostGroups[:i:i], h.hostGroups[i+1:]...)
			defer os.Remove(c.dir)
			break
		}
	}
	p := policyFor(h)
	p.Egress = true
	r := launch(t, h, "wait", p).ready(t)
	require.False(t, r.Report().Applied(Egress))
	require.NoError(t, r.AllowPeer(netip.MustParseAddrPort("127.0.0.1:1")))
	if isRoot() {
		require.Contains(t, r.Report().Detail(Egress), "mount -t cgroup2")
	} else {
		require.Contains(t, r.Report().Detail(Egress), "run the supervisor as root")
	}
	p.Egress = false
	require.Contains(t, launch(t, h, "wait", p).Report().Detail(Egress), "excludes it")
}
