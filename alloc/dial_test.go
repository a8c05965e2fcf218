package alloc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// loopback opens a device that is closed when the test ends.
func loopback(t *testing.T) *transport.Device {
	device := must(transport.Open("loopback:"))
	t.Cleanup(func() { require.NoError(t, device.Close()) })
	return device
}

// newBareClient makes a client that knows no agent and runs nothing by itself.
func newBareClient(t *testing.T) *Client {
	c := &Client{cfg: Config{Device: loopback(t)}, log: slog.New(slog.DiscardHandler)}
	c.life, c.end = context.WithCancel(t.Context())
	t.Cleanup(c.end)
	return c
}

func TestAgentAddresses(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"unix:/a", "unix:@a", "tcp:localhost:1", "tls:host:1"} {
		require.NoError(t, checkAddress(a))
	}
	for _, a := range []string{"", "unix:", "tls:", "host:1", "udp:host:1"} {
		require.EqualError(t, checkAddress(a), fmt.Sprintf("alloc: the address %q of an agent: give unix:PATH, unix:@NAME, tcp:HOST:PORT or tls:HOST:PORT", a))
	}
	cfg := Config{Agents: []string{"tls:host:1"}, Token: make([]byte, lease.MaxTokenBytes+1)}
	require.ErrorContains(t, cfg.complete(), "the token has 513 bytes: must have 512 at most")
}

// What a manager lists with TLS is dialled with it.
func TestListedAddress(t *testing.T) {
	t.Parallel()
	device := loopback(t)
	c := &Client{cfg: Config{Device: device}}
	for want, a := range map[string]manager.Address{
		"tls:host:1": {Network: "tcp", Address: "host:1", TLS: true},
		"tcp:host:1": {Network: "tcp", Address: "host:1"},
		"unix:@a":    {Network: "unix", Address: "@a"},
	} {
		other := manager.Address{Network: "tcp", Address: "other:1", Wire: "another"}
		a.Wire = device.Capabilities().Wire
		require.Equal(t, want, c.addressOf(&manager.Node{Addresses: []manager.Address{other, a}}))
		require.Empty(t, c.addressOf(&manager.Node{Addresses: []manager.Address{other}}))
	}
}

// newTLSServer has a certificate for 127.0.0.1 and example.com.
func newTLSServer(t *testing.T) *httptest.Server {
	s := httptest.NewUnstartedServer(nil)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// An agent that is reached with TLS has to have a certificate for its address.
func TestDialTLS(t *testing.T) {
	t.Parallel()
	s := newTLSServer(t)
	plain := must(net.Listen("tcp", "127.0.0.1:0"))
	defer plain.Close()
	go func() {
		if c, err := plain.Accept(); err == nil {
			fmt.Fprint(c, "hello, whoever you are")
			c.Close()
		}
	}()
	at := s.Listener.Addr().String()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	for _, c := range []struct {
		address string
		cfg     *tls.Config
		want    string
	}{
		{"tls:" + at, &tls.Config{RootCAs: roots}, ""},
		{"tls:" + at, nil, "certificate signed by unknown authority"},
		{"tls:" + at, &tls.Config{RootCAs: roots, Time: func() time.Time { return time.Now().AddDate(1000, 0, 0) }}, "certificate has expired"},
		{"tls:" + at, &tls.Config{RootCAs: roots, ServerName: "n1"}, "certificate is valid for example.com, "},
		{"tls:" + plain.Addr().String(), &tls.Config{RootCAs: roots}, "first record does not look like a TLS handshake"},
	} {
		stream, err := (&Config{TLS: c.cfg}).dial(t.Context(), c.address)
		if c.want != "" {
			require.ErrorContains(t, err, c.want)
			continue
		}
		require.NoError(t, err)
		require.NoError(t, stream.Close())
	}
}

// A lease from an agent that is not trusted fails at once.
func TestLeaseFromUntrustedAgent(t *testing.T) {
	t.Parallel()
	s := newTLSServer(t)
	c := must(Open(t.Context(), Config{Device: loopback(t), Agents: []string{"tls:" + s.Listener.Addr().String()}}))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := c.Lease(ctx, Order{})
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "alloc: the agent at tls:127.0.0.1:")
	require.ErrorContains(t, err, "certificate signed by unknown authority")

	require.True(t, lasting(fmt.Errorf("a: %w", &distrustError{io.EOF})))
	require.True(t, lasting(&lease.RefusedError{Reason: lease.Stranger}))
	require.False(t, lasting(&lease.RefusedError{Reason: lease.NoCores}))
	require.False(t, lasting(io.EOF))
}

// elsewhere is a stream to an address.
type elsewhere struct {
	net.Conn
	at net.Addr
}

func (e elsewhere) RemoteAddr() net.Addr { return e.at }

// Nothing goes beyond the loopback without TLS.
func TestDialWithoutTLS(t *testing.T) {
	t.Parallel()
	for _, ip := range []string{"192.0.2.1", "10.0.0.1", "2001:db8::1", "fe80::1"} {
		require.ErrorContains(t, checkPeer(elsewhere{at: &net.TCPAddr{IP: net.ParseIP(ip)}}), "it is beyond the loopback, where others can listen: agents there are reached with TLS, at tls:HOST:PORT")
	}
	for _, ip := range []string{"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"} {
		require.NoError(t, checkPeer(elsewhere{at: &net.TCPAddr{IP: net.ParseIP(ip)}}))
	}
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	must(new(Config).dial(t.Context(), "tcp:"+l.Addr().String())).Close()
}

// Nothing is sent to another user's process that has taken the name of an agent's socket.
func TestDialSocketOfAnotherUser(t *testing.T) {
	t.Parallel()
	own := must(net.Listen("unix", fmt.Sprintf("@%s-%d", t.Name(), os.Getpid())))
	defer own.Close()
	must(new(Config).dial(t.Context(), "unix:"+own.Addr().String())).Close()
	if os.Getuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("listening as another user needs root")
	}
	name := fmt.Sprintf("@%s-%d-other", t.Name(), os.Getpid())
	listening := make(chan error)
	done := make(chan struct{})
	defer close(done)
	go func() { // the thread ends with the goroutine, and its user with it
		runtime.LockOSThread()
		const otherUser, same = 12345, ^uintptr(0)
		if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, same, otherUser, same); e != 0 {
			listening <- e
			return
		}
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			defer unix.Close(fd)
			if err = unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err == nil {
				err = unix.Listen(fd, 1)
			}
		}
		listening <- err
		<-done
	}()
	require.NoError(t, <-listening)
	_, err := new(Config).dial(t.Context(), "unix:"+name)
	require.EqualError(t, err, fmt.Sprintf("unix:%s: user 12345 listens there: must be user 0, as this process, or root", name))
}

// A client without TLS is refused by an agent with TLS.
func TestPlainAgainstTLS(t *testing.T) {
	t.Parallel()
	s := newTLSServer(t)
	inner := must(net.Listen("tcp", "127.0.0.1:0"))
	l := transport.Serve(tls.NewListener(inner, s.TLS))
	defer l.Close()
	device := loopback(t)
	domain := must(device.NewProtectionDomain())
	defer domain.Close()
	queue := must(device.NewQueue(128))
	defer queue.Close()
	stream := must(new(Config).dial(t.Context(), "tcp:"+inner.Addr().String()))
	_, err := device.Connect(t.Context(), stream, transport.ConnConfig{Domain: domain, SendQueue: queue, RecvQueue: queue})
	require.ErrorContains(t, explain("tcp:host:1", err), "the peer hung up during connection set-up: EOF; does the agent speak TLS? then its address is tls:HOST:PORT")
	require.Equal(t, err, explain("tls:host:1", err))
	require.Equal(t, io.ErrNoProgress, explain("tcp:host:1", io.ErrNoProgress))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Errors name the agent, and its address need not be said again.
func TestDialErrors(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"unix:/nowhere/at/all", "tcp:127.0.0.1:1", "tls:127.0.0.1:1"} {
		_, err := (&Config{}).dial(t.Context(), address)
		require.Regexp(t, `^connect: (no such file or directory|connection refused)$`, err.Error(), address)
	}
}
