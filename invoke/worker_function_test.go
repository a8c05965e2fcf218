package invoke_test

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	f := func(context.Context, []byte, []byte) (int, error) { return 0, nil }
	r := invoke.NewRegistry()
	require.NoError(t, r.Register("a", f))
	require.NoError(t, r.Register(strings.Repeat("é", 127), f))
	for name, f := range map[string]invoke.Function{
		"":                       f,
		"a":                      f,
		"nothing":                nil,
		strings.Repeat("x", 256): f,
		"\xff":                   f,
	} {
		require.ErrorContains(t, r.Register(name, f), "register", "%q", name)
	}
	require.Equal(t, []string{"a", strings.Repeat("é", 127)}, r.Names())
}

func TestMissingFunctionNamesABoundedNumberOfOthers(t *testing.T) {
	t.Parallel()
	s := serve(t, "loopback:", invoke.WorkerConfig{})
	c := s.dial(t, invoke.ClientConfig{})
	for i := range 40 {
		require.NoError(t, s.registry.Register(fmt.Sprintf("function %d", i), s.never(t)))
	}
	_, err := c.Function(soon(t), "x")
	require.ErrorIs(t, err, invoke.ErrNotFound)
	require.ErrorContains(t, err, "function 12 and 27 more")
	_, err = c.Function(soon(t), strings.Repeat("x", 256))
	require.ErrorIs(t, err, invoke.ErrNotFound)
	find(t, c, "function 39")
}

func TestEmptyRegistry(t *testing.T) {
	t.Parallel()
	dev := openDevice(t, "loopback:")
	w, err := invoke.NewWorker(dev, invoke.NewRegistry(), invoke.WorkerConfig{})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- w.Serve(context.Background(), nil) }()
	// Without a listener: a pair of sockets, and Admit.
	near, far := socketPair(t)
	admitted := make(chan error, 1)
	go func() {
		request, err := transport.Receive(soon(t), far)
		if err == nil {
			err = w.Admit(soon(t), request)
		}
		admitted <- err
	}()
	c, err := invoke.Connect(soon(t), dev, near, invoke.ClientConfig{})
	require.NoError(t, err)
	require.NoError(t, receive(t, admitted))
	_, err = c.Function(soon(t), "x")
	require.ErrorContains(t, err, "the worker has none at all")
	require.NoError(t, c.Close())
	require.NoError(t, w.Close())
	require.NoError(t, receive(t, served))
}

// socketPair is a connected pair of Unix sockets.
func socketPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", t.TempDir()+"/s")
	require.NoError(t, err)
	defer l.Close()
	near, err = net.Dial("unix", l.Addr().String())
	require.NoError(t, err)
	far, err = l.Accept()
	require.NoError(t, err)
	return near, far
}

func TestConfigurationsThatCannotBe(t *testing.T) {
	t.Parallel()
	dev := openDevice(t, "loopback:")
	for _, cfg := range []invoke.WorkerConfig{
		{Slots: -1}, {Slots: 1025}, {SlotBytes: 10}, {SlotBytes: 2 << 30}, {MaxClients: -1}, {MaxClients: 1<<16 + 1},
		{MaxClients: 1 << 16, Slots: 1024}, // more than a queue can hold
	} {
		_, err := invoke.NewWorker(dev, invoke.NewRegistry(), cfg)
		require.Error(t, err, "%+v", cfg)
	}
	for _, cfg := range []invoke.ClientConfig{{Slots: -1}, {Slots: 1025}, {SlotBytes: 10}, {SlotBytes: 2 << 30}} {
		near, far := socketPair(t)
		_, err := invoke.Connect(soon(t), dev, near, cfg)
		require.ErrorContains(t, err, "are possible here", "%+v", cfg)
		_, err = far.Read(make([]byte, 1))
		require.Error(t, err, "the stream was closed")
		far.Close()
	}
	_, err := invoke.Dial(soon(t), dev, "unix", "/nowhere/at/all", invoke.ClientConfig{})
	require.ErrorContains(t, err, "/nowhere/at/all")
}

// TestNotAWorker: the peer speaks the transport's protocol, and then another one.
func TestNotAWorker(t *testing.T) {
	t.Parallel()
	dev := openDevice(t, "loopback:")
	domain, err := dev.NewProtectionDomain()
	require.NoError(t, err)
	defer domain.Close()
	queue, err := dev.NewQueue(1024)
	require.NoError(t, err)
	defer queue.Close()
	for _, private := range []string{"", "hello", "rfiv\xff\x00 of the future"} {
		near, far := socketPair(t)
		go func() {
			request, err := transport.Receive(soon(t), far)
			if err != nil {
				t.Error(err)
				return
			}
			conn, err := request.Accept(soon(t), transport.ConnConfig{Domain: domain, SendQueue: queue, RecvQueue: queue, PrivateData: []byte(private)})
			if err == nil {
				<-conn.Done()
				conn.Close()
			}
		}()
		_, err = invoke.Connect(soon(t), dev, near, invoke.ClientConfig{})
		require.Error(t, err)
		if strings.HasPrefix(private, "rfiv") {
			require.ErrorIs(t, err, invoke.ErrVersionMismatch)
		} else {
			require.ErrorContains(t, err, "does not speak the protocol of remote invocation")
		}
	}
	// And the other way round: a client that is none.
	s := serve(t, "loopback:", invoke.WorkerConfig{})
	_, err = s.dev.Dial(soon(t), "unix", s.address, connConfig(t, s.dev, "GET / HTTP/1.1"))
	require.ErrorIs(t, err, transport.ErrRejected)
	require.ErrorContains(t, err, "does not speak the protocol of remote invocation")
	_, err = s.dev.Dial(soon(t), "unix", s.address, connConfig(t, s.dev, "rfiv\x07\x00"))
	require.ErrorIs(t, err, transport.ErrRejected)
	require.ErrorContains(t, err, "the peer speaks version 7 of the invocation protocol, this end version "+strconv.Itoa(invoke.Version))
	told := (*transport.RejectedError)(nil)
	require.ErrorAs(t, err, &told)
	require.EqualValues(t, invoke.StatusVersionMismatch, told.Code)
}

func connConfig(t *testing.T, dev *transport.Device, private string) transport.ConnConfig {
	t.Helper()
	domain, err := dev.NewProtectionDomain()
	require.NoError(t, err)
	queue, err := dev.NewQueue(128)
	require.NoError(t, err)
	t.Cleanup(func() { queue.Close(); domain.Close() })
	return transport.ConnConfig{Domain: domain, SendQueue: queue, RecvQueue: queue, PrivateData: []byte(private)}
}

func TestStatusNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ok", invoke.StatusOK.String())
	require.Equal(t, "version mismatch", invoke.StatusVersionMismatch.String())
	require.Equal(t, "status(200)", invoke.Status(200).String())
	require.Equal(t, []string{"unknown", "no", "yes"}, []string{invoke.StartedUnknown.String(), invoke.StartedNo.String(), invoke.StartedYes.String()})
	require.EqualError(t, invoke.ErrTooLarge, "invoke: too large")
}
