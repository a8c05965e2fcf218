package executor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
)

// A function that sends a datagram from the executor's own socket to the address in its input.
func init() {
	functions["datagram"] = func(_ context.Context, in, out []byte) (int, error) {
		to := must(netip.ParseAddrPort(string(in)))
		err := errors.New("no socket")
		for fd := 3; fd < 256; fd++ {
			if kind, e := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); e != nil || kind != unix.SOCK_DGRAM {
				continue
			}
			if family, e := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); e == nil && family == unix.AF_INET {
				err = unix.Sendto(fd, []byte("hello"), 0, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
			}
		}
		if errno, ok := errors.AsType[syscall.Errno](err); ok {
			return copy(out, unix.ErrnoName(errno)), nil
		}
		return copy(out, "sent"), err
	}
}

// filteredExecutor is an executor whose packets are filtered. The test is skipped where that cannot be.
func filteredExecutor(t *testing.T, url string) *Executor {
	t.Helper()
	s := supervise(t, Config{Confine: confined(), Setup: Setup{Transports: []string{url, "shm:"}}})
	o := assignmentOf("datagram")
	o.Clients = 4
	e := begin(t, s, o)
	report, _ := e.Confinement()
	if !report.Applied(confine.Egress) {
		if os.Getenv("CI") != "" && os.Getuid() == 0 {
			require.Fail(t, "packets cannot be filtered", report.Detail(confine.Egress))
		}
		t.Skip(report.Detail(confine.Egress))
	}
	return e
}

// caller connects over a device of its own, at the address at.
func caller(t *testing.T, e *Executor, url string) (send func(to netip.AddrPort) string, at netip.AddrPort, hangUp func()) {
	t.Helper()
	device := openDevice(t, url)
	c, err := e.Dial(t.Context(), device, invoke.ClientConfig{Slots: 1, SlotBytes: 4096})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	f, err := c.Function(t.Context(), "datagram")
	require.NoError(t, err)
	return func(to netip.AddrPort) string {
		out := make([]byte, 100)
		n, err := c.Call(t.Context(), f, []byte(to.String()), out)
		require.NoError(t, err)
		return string(out[:n])
	}, device.Adapter().(*softroce.Adapter).Address(), func() { require.NoError(t, c.Close()) }
}

// An isolated executor's packets reach only its clients, while they are connected, on the
// loopback and on a network.
func TestPacketsGoToClients(t *testing.T) {
	t.Parallel()
	urls := map[string]string{"loopback": "softroce:"}
	if own, ok := ownAddress(); ok {
		urls["network"] = "softroce://" + own.String() + ":0?trust-network"
	}
	for name, url := range urls {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := filteredExecutor(t, url)
			first, at, hangUp := caller(t, e, url)
			second, _, _ := caller(t, e, url)
			stranger, err := net.ListenUDP("udp4", &net.UDPAddr{IP: at.Addr().AsSlice()})
			require.NoError(t, err)
			defer stranger.Close()
			require.Equal(t, "sent", first(at))
			require.Equal(t, "EPERM", first(stranger.LocalAddr().(*net.UDPAddr).AddrPort()))
			require.NotEqual(t, "sent", first(netip.MustParseAddrPort("192.0.2.1:4791")), "not reachable from the loopback")
			require.Equal(t, "sent", second(at))
			hangUp()
			require.Eventually(t, func() bool { return second(at) == "EPERM" }, patience, time.Millisecond)
		})
	}
}

// ownAddress is one of this machine's on a network.
func ownAddress() (netip.Addr, bool) {
	list, _ := net.InterfaceAddrs()
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && !p.Addr().IsLoopback() {
			return p.Addr(), true
		}
	}
	return netip.Addr{}, false
}

// from is a stream with another remote address.
type from struct {
	net.Conn
	remote net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.remote }

// A client is refused if its device is not where it connects from.
func TestClientElsewhere(t *testing.T) {
	t.Parallel()
	e := filteredExecutor(t, "softroce:")
	device := openDevice(t, "softroce:")
	near, far, err := StreamPair()
	require.NoError(t, err)
	go func() {
		if r, err := transport.Receive(t.Context(), from{far, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}}); err == nil {
			e.Admit(t.Context(), r)
		}
	}()
	_, err = invoke.Connect(t.Context(), device, near, invoke.ClientConfig{Token: e.Token()})
	require.ErrorIs(t, err, transport.ErrRejected)
	require.ErrorContains(t, err, "which is neither where it connects from (192.0.2.1:1) nor a neighbour of 127.0.0.1")
}

func TestCredible(t *testing.T) {
	t.Parallel()
	network := func(s string) net.Addr {
		ip, n, err := net.ParseCIDR(s)
		require.NoError(t, err)
		n.IP = ip
		return n
	}
	networks := []net.Addr{network("127.0.0.1/8"), network("10.1.2.3/16"), network("192.0.2.7/24"), network("2001:db8::7/64")}
	tcp := func(s string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(s)) }
	local := &net.UnixAddr{Name: "x", Net: "unix"}
	for _, c := range []struct {
		peer string
		from net.Addr
		own  string
		want bool
	}{
		{"10.1.9.9:53", tcp("10.1.9.9:7"), "10.1.2.3", true}, // its own host's
		{"10.1.9.9:53", tcp("[::ffff:10.1.9.9]:7"), "10.1.2.3", true},
		{"10.1.9.8:53", tcp("10.1.9.9:7"), "10.1.2.3", false},
		{"192.0.2.9:4791", tcp("10.1.9.9:7"), "192.0.2.7", true}, // another network's, of the transport
		{"192.0.2.9:40000", tcp("10.1.9.9:7"), "192.0.2.7", true},
		{"192.0.2.9:2049", tcp("10.1.9.9:7"), "192.0.2.7", false},
		{"192.0.2.255:4791", tcp("10.1.9.9:7"), "192.0.2.7", false}, // broadcast
		{"192.0.3.9:4791", tcp("10.1.9.9:7"), "192.0.2.7", false},
		{"192.0.2.9:4791", tcp("10.1.9.9:7"), "10.1.2.3", false},   // not the transport's
		{"192.0.2.7:40000", tcp("10.1.9.9:7"), "192.0.2.7", false}, // this machine
		{"127.0.0.1:40000", tcp("10.1.9.9:7"), "127.0.0.1", false},
		{"127.0.0.2:53", tcp("10.1.2.3:7"), "127.0.0.1", true},
		{"127.0.0.2:53", tcp("127.0.0.1:7"), "127.0.0.1", true},
		{"192.0.2.7:53", tcp("127.0.0.1:7"), "192.0.2.7", true},
		{"192.0.2.7:53", local, "192.0.2.7", true},
		{"127.0.0.9:4791", local, "127.0.0.1", true},
		{"198.51.100.1:4791", local, "192.0.2.7", false},
		{"[2001:db8::9]:4791", tcp("10.1.9.9:7"), "2001:db8::7", true},
		{"[2001:db8:1::9]:4791", tcp("10.1.9.9:7"), "2001:db8::7", false},
	} {
		err := credibleIn(netip.MustParseAddrPort(c.peer), c.from, netip.MustParseAddr(c.own), networks)
		require.Equal(t, c.want, err == nil, "%+v: %v", c, err)
	}
}

func TestTransportsBeyondLoopback(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"softroce:": false, "softroce://127.0.0.2:0?mtu=1024": false, "softroce://[::1]": false, "shm:": false, "verbs://mlx5_0": false,
		"softroce://192.0.2.7?trust-network": true, "trace+softroce://192.0.2.7:0?trust-network": true, "softroce://[2001:db8::7]?trust-network": true,
	} {
		require.Equal(t, want, BeyondLoopback(url), url)
	}
	require.True(t, strings.HasPrefix(providerOf("trace+verbs://x"), "verbs"))
}
