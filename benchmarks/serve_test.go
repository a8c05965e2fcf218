package benchmarks

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// serveHere starts a Serve and returns its address.
func serveHere(t *testing.T, c ServeConfig) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	notes := make(chan string, 100)
	done := make(chan error, 1)
	go func() {
		c.Listen, c.Transport, c.OnNote = "127.0.0.1:0", "far:", func(s string) { notes <- s }
		done <- Serve(ctx, c)
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	select {
	case first := <-notes:
		rest, found := strings.CutPrefix(first, "waiting on ")
		require.True(t, found, first)
		address, _, _ := strings.Cut(rest, " ")
		return address
	case err := <-done:
		t.Fatal(err)
		return ""
	}
}

func TestServeAndConnect(t *testing.T) {
	requireTwoCores(t)
	address := serveHere(t, ServeConfig{})
	for _, info := range Tests() {
		if strings.HasPrefix(info.Name, "baseline-") || info.NeedsFunctions {
			continue
		}
		size := min(64, info.DefaultSize)
		results := runOne(t, Config{Test: info.Name, Transport: "far:", Connect: address, Sizes: []int{size, size}, Iterations: few})
		require.True(t, results[0].remote, "timeouts are not put down to this machine")
		require.Len(t, results, 2, "one session after the other")
		requireSensible(t, results[0], info, size, info.Modes[0])
	}
}

// Measurements take turns; one that has waited too long is told so.
func TestServeBusy(t *testing.T) {
	requireTwoCores(t)
	address := serveHere(t, ServeConfig{patience: 100 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		_, err := Run(ctx, Config{Test: "send-lat", Transport: "far:", Connect: address, Mode: Warm, Iterations: forever,
			peerReady: func(int) { close(begun) }})
		first <- err
	}()
	select {
	case <-begun:
	case err := <-first:
		require.NoError(t, err)
	}
	_, err := Run(t.Context(), Config{Test: "send-lat", Transport: "far:", Connect: address, Mode: Warm, Iterations: few})
	require.ErrorContains(t, err, "the peer reports: busy with another measurement; try again later")
	cancel()
	require.ErrorIs(t, <-first, context.Canceled)
	require.Eventually(t, func() bool {
		_, err := Run(t.Context(), Config{Test: "send-lat", Transport: "far:", Connect: address, Mode: Warm, Iterations: few})
		return err == nil
	}, 10*time.Second, 10*time.Millisecond, "the peer is free again")
}

func TestServeRefuses(t *testing.T) {
	t.Parallel()
	err := Serve(t.Context(), ServeConfig{Listen: "127.0.0.1:0", Transport: "shm:"})
	require.ErrorContains(t, err, "--listen: shm connects processes of one machine only")
	err = Serve(t.Context(), ServeConfig{Listen: "127.0.0.1:99999", Transport: "far:"})
	require.ErrorContains(t, err, "--listen: ")
	err = Serve(t.Context(), ServeConfig{Listen: "127.0.0.1:0", Transport: "nothing:"})
	require.ErrorContains(t, err, `no provider for scheme "nothing"`)
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	l.Close()
	_, err = Run(t.Context(), Config{Test: "send-lat", Transport: "far:", Connect: address})
	require.ErrorContains(t, err, "connecting to the peer: ")
}

// What does not speak the protocol is refused, and the peer goes on.
func TestServeStrangers(t *testing.T) {
	address := serveHere(t, ServeConfig{})
	control := prefaceMagic + "c" + strings.Repeat("\x00", len(key{}))
	for _, c := range []struct{ name, send, answer string }{
		{"not a stream of ours", "GET / HTTP/1.1\r\nHost: x\r\n\r\n....", ""},
		{"a stream of no session", prefaceMagic + "t" + strings.Repeat("k", len(key{})), ""},
		{"a control stream with a wrong key", prefaceMagic + "c" + strings.Repeat("k", len(key{})), ""},
		{"no JSON", control + "hello\n", "does not speak the benchmarks' protocol"},
		{"out of turn", control + `{"kind":"run","count":1}` + "\n", `the other side says \"run\" where one of [\"start\"] was due`},
		{"no parameters", control + `{"kind":"start"}` + "\n", "no parameters"},
		{"an unknown test", control + `{"kind":"start","params":{"test":"fork-bomb"}}` + "\n", `unknown test \"fork-bomb\"`},
		{"an impossible size", control + `{"kind":"start","params":{"test":"send-lat","size_bytes":-1,"iterations":1,"depth":1,"workers":1,"mode":"hot"}}` + "\n", "--size -1"},
		{"a test of one machine", control + `{"kind":"start","params":{"test":"baseline-shm-lat","size_bytes":8,"iterations":1,"depth":1,"workers":1,"mode":"hot"}}` + "\n", "baseline-shm-lat measures one machine"},
		{"another test of one machine", control + `{"kind":"start","params":{"test":"baseline-udp-lat","size_bytes":8,"iterations":1,"depth":1,"workers":1,"mode":"hot"}}` + "\n", "baseline-udp-lat measures one machine"},
		{"a test with an agent", control + `{"kind":"start","params":{"test":"lease-lat","size_bytes":512,"iterations":1,"depth":1,"workers":1,"mode":"hot"}}` + "\n", "lease-lat measures one machine"},
		{"a test without a peer", control + `{"kind":"start","params":{"test":"baseline-memcpy-bw","size_bytes":8,"iterations":1,"depth":1,"workers":1,"mode":"hot"}}` + "\n", "baseline-memcpy-bw has no peer"},
		{"an endless line", control + strings.Repeat("x", maxMessageBytes+1), "token too long"},
	} {
		conn, err := net.Dial("tcp", address)
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = conn.Write([]byte(c.send))
		require.NoError(t, err, c.name)
		var answer strings.Builder
		for buf := make([]byte, 4096); err == nil; {
			var n int
			n, err = conn.Read(buf)
			answer.Write(buf[:n])
		}
		require.NotErrorIs(t, err, context.DeadlineExceeded, c.name)
		conn.Close()
		if c.answer == "" {
			require.Empty(t, answer.String(), c.name)
		} else {
			require.Contains(t, answer.String(), c.answer, c.name)
			require.Contains(t, answer.String(), `"kind":"error"`, c.name)
		}
	}
	requireTwoCores(t)
	runOne(t, Config{Test: "send-lat", Transport: "far:", Connect: address, Iterations: few})
}

// scarce is a listener that finds no room for a stream, now and then, and then breaks.
type scarce struct {
	net.Listener
	errs []error
}

func (s *scarce) Accept() (net.Conn, error) {
	err := s.errs[0]
	s.errs = s.errs[1:]
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
}

func (s *scarce) Close() error { return nil }

// A process that has no descriptor left for a stream serves the next one.
func TestHostWithoutDescriptors(t *testing.T) {
	t.Parallel()
	l := &scarce{errs: []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.EMFILE, syscall.EBADF}}
	h := &host{listener: l, note: func(string) {}}
	err := h.serve(t.Context())
	require.True(t, errors.Is(err, syscall.EBADF), err)
	require.Empty(t, l.errs)
}
