package transport_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// certificate is a self-signed one for 127.0.0.1.
var certificate = sync.OnceValues(func() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
})

// tlsConfigs are those of a client and a server that trust each other.
func tlsConfigs(t *testing.T) (client, server *tls.Config) {
	cert, err := certificate()
	require.NoError(t, err)
	parsed, err := x509.ParseCertificate(cert.Certificate[0])
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}, &tls.Config{Certificates: []tls.Certificate{cert}}
}

func tlsStream(t *testing.T) (a, b net.Conn) {
	client, server := tlsConfigs(t)
	a, b = dialed(t, "tcp", "127.0.0.1:0")
	return tls.Client(a, client), tls.Server(b, server)
}

// accept accepts one connection in the background.
func accept(ctx context.Context, l *transport.Listener, cfg transport.ConnConfig) <-chan error {
	accepted := make(chan error, 1)
	go func() {
		r, err := l.Accept(ctx)
		if err == nil {
			_, err = r.Accept(ctx, cfg)
		}
		accepted <- err
	}()
	return accepted
}

func TestListenAndDial(t *testing.T) {
	t.Parallel()
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": "@" + t.Name()} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			a, b := newEnds(t)
			l, err := transport.Listen(network, address)
			require.NoError(t, err)
			defer l.Close()
			accepted := accept(t.Context(), l, b.Config())
			conn, err := a.Dev.Dial(t.Context(), network, l.Addr().String(), a.Config())
			require.NoError(t, err)
			require.NoError(t, <-accepted)
			require.NoError(t, l.Close())
			require.NoError(t, conn.Err(), "connections outlive their listener")
			_, err = a.Dev.Dial(t.Context(), network, l.Addr().String(), a.Config())
			require.ErrorContains(t, err, "connection refused")
		})
	}
}

// TestServeTLS: the handshake is part of the set-up, and keeps nobody waiting.
func TestServeTLS(t *testing.T) {
	t.Parallel()
	a, b := newEnds(t)
	client, server := tlsConfigs(t)
	inner, err := tls.Listen("tcp", "127.0.0.1:0", server)
	require.NoError(t, err)
	l := transport.Serve(inner)
	defer l.Close()
	plain, err := net.Dial("tcp", l.Addr().String()) // does not even begin a handshake
	require.NoError(t, err)
	defer plain.Close()
	accepted := accept(t.Context(), l, b.Config())
	stream, err := tls.Dial("tcp", l.Addr().String(), client)
	require.NoError(t, err)
	_, err = a.Dev.Connect(t.Context(), stream, a.Config())
	require.NoError(t, err)
	require.NoError(t, <-accepted)
}

// TestSilentDialers: peers that say nothing, or the wrong thing, keep no others
// waiting.
func TestSilentDialers(t *testing.T) {
	t.Parallel()
	a, b := newEnds(t)
	l, err := transport.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	for i := range 300 {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		if i%2 == 1 {
			_, err = c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
			require.NoError(t, err)
		}
	}
	accepted := accept(t.Context(), l, b.Config())
	ctx, cancel := context.WithTimeout(t.Context(), pairtest.Patience)
	defer cancel()
	_, err = a.Dev.Dial(ctx, "tcp", l.Addr().String(), a.Config())
	require.NoError(t, err)
	require.NoError(t, <-accepted)
	require.NoError(t, l.Close(), "nor the one that closes")
}

// A dial waits, as long as its context, for the place that a Unix socket's full backlog has
// no more of.
func TestDialWaitsForTheBacklog(t *testing.T) {
	t.Parallel()
	a, b := newEnds(t)
	address := "@" + t.Name()
	full, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, unix.Bind(full, &unix.SockaddrUnix{Name: address}))
	require.NoError(t, unix.Listen(full, 0))
	for {
		c, err := net.Dial("unix", address)
		if err != nil {
			require.ErrorIs(t, err, unix.EAGAIN)
			break
		}
		defer c.Close()
	}
	isFull := func(ctx context.Context) {
		t.Helper()
		_, err := a.Dev.Dial(ctx, "unix", address, a.Config())
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "backlog is full")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	isFull(ctx)
	isFull(overslept{t.Context(), time.Now().Add(100 * time.Millisecond)})
	dialed := make(chan error, 1)
	go func() {
		_, err := a.Dev.Dial(t.Context(), "unix", address, a.Config())
		dialed <- err
	}()
	file := os.NewFile(uintptr(full), "listener")
	inner, err := net.FileListener(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	l := transport.Serve(inner)
	defer l.Close()
	require.NoError(t, <-accept(t.Context(), l, b.Config()))
	require.NoError(t, <-dialed)
}

// overslept is a context that does not notice its deadline, as on a busy machine: a dialer
// notices first.
type overslept struct {
	context.Context
	deadline time.Time
}

func (o overslept) Deadline() (time.Time, bool) { return o.deadline, true }

func TestAcceptEnds(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	l, err := transport.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := accept(ctx, l, e.Config())
	cancel()
	require.ErrorIs(t, <-cancelled, context.Canceled)
	closed := accept(t.Context(), l, e.Config())
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.ErrorIs(t, <-closed, transport.ErrClosed)
}

// TestCloseDropsWhoWaits: a dialer whose request nobody accepted is told.
func TestCloseDropsWhoWaits(t *testing.T) {
	t.Parallel()
	a := pairtest.NewEnd(t, "loopback:")
	l, err := transport.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	dialed := make(chan error, 1)
	cfg := a.Config()
	go func() {
		_, err := a.Dev.Dial(context.Background(), "tcp", l.Addr().String(), cfg)
		dialed <- err
	}()
	select {
	case err := <-dialed:
		t.Fatal(err)
	case <-time.After(5 * time.Millisecond): // most often enough for the request to arrive
	}
	require.NoError(t, l.Close())
	require.Error(t, <-dialed)
}

// A dial that ends with its context says so, however far it came: here the network
// does not answer.
func TestDialEndsWithContext(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	full, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(full)
	require.NoError(t, unix.Bind(full, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(full, 0))
	at, err := unix.Getsockname(full)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", at.(*unix.SockaddrInet4).Port)
	for range 20 { // until its queue is full
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := e.Dev.Dial(ctx, "tcp", address, e.Config())
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		if strings.Contains(err.Error(), "i/o timeout") {
			return
		}
	}
	t.Fatal("every dial was answered")
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	_, err := transport.Listen("tcp", "127.0.0.1:99999")
	require.ErrorContains(t, err, "transport: listen on tcp 127.0.0.1:99999: address 99999: invalid port")
	_, err = e.Dev.Dial(t.Context(), "unix", "/nowhere/at/all", e.Config())
	require.ErrorContains(t, err, "transport: loopback: dial unix /nowhere/at/all: connect: no such file or directory")
}
