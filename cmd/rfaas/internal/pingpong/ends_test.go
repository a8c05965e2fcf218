package pingpong

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
)

// patience bounds what tests wait for. Only a defect makes them wait as long.
const patience = 60 * time.Second

// quick has an engine notice within a second that its peer does not answer.
const quick = "?retries=6&min-timeout=5ms&ack-timeout=100ms"

// open opens a device on loopback, which has to be empty at the end of the test.
func open(t *testing.T, parameters string) *transport.Device {
	t.Helper()
	dev := must(transport.Open("softroce:" + parameters))
	t.Cleanup(func() {
		require.Empty(t, dev.Inventory(), "what was made is closed")
		require.NoError(t, dev.Close())
	})
	return dev
}

// counter tells what the device's engine has counted.
func counter(dev *transport.Device, name string) uint64 {
	return dev.Adapter().(*softroce.Adapter).Counters()[name]
}

// settings is a small game, in which both ends sleep: tests share processors.
func settings() Config {
	return Config{
		Port: 0, Size: 4096, Iterations: 100, MTU: 1024, RxDepth: 10, Events: true, Timeout: patience,
		OnListen: func(int) {}, OnLocal: func(Address) {}, OnRemote: func(Address) {},
	}
}

// outcome is what Run returned.
type outcome struct {
	result Result
	err    error
}

// serve runs a server and returns the port where it listens.
func serve(t *testing.T, ctx context.Context, dev *transport.Device, cfg Config) (port int, ended <-chan outcome) {
	t.Helper()
	ports, done := make(chan int, 1), make(chan outcome, 1)
	cfg.Host, cfg.Port, cfg.OnListen = "", 0, func(port int) { ports <- port }
	var running sync.WaitGroup
	running.Go(func() {
		result, err := Run(ctx, dev, cfg)
		done <- outcome{result, err}
	})
	t.Cleanup(running.Wait)
	select {
	case port := <-ports:
		return port, done
	case o := <-done:
		require.FailNow(t, "the server did not listen", "%v", o.err)
		return 0, nil
	}
}

// play runs both ends.
func play(t *testing.T, client, server *transport.Device, ofClient, ofServer Config) (c, s outcome) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	port, ended := serve(t, ctx, server, ofServer)
	ofClient.Host, ofClient.Port = "127.0.0.1", port
	c.result, c.err = Run(ctx, client, ofClient)
	return c, <-ended
}

// manual is an end that a test plays by hand.
type manual struct {
	*game
	t *testing.T
}

// playManually begins a game that the test plays.
func playManually(t *testing.T, dev *transport.Device, cfg Config) *manual {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g, err := begin(ctx, dev, &cfg)
	require.NoError(t, err)
	t.Cleanup(g.close)
	return &manual{g, t}
}

// message is a request to send what is to be sent.
func (m *manual) message() transport.WorkRequest {
	return transport.Send(1, m.outSpan).With(transport.Signaled)
}

func (m *manual) post(wr transport.WorkRequest) {
	m.t.Helper()
	_, err := m.conn.Post(wr)
	require.NoError(m.t, err)
}

// awaitBoth waits for the completions of a send and of the answer.
func (m *manual) awaitBoth() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	seen := map[transport.Op]bool{}
	for !seen[transport.OpSend] || !seen[transport.OpRecv] {
		var c [1]transport.Completion
		_, err := m.queue.Wait(ctx, c[:], transport.Warm)
		require.NoError(m.t, err)
		require.NoError(m.t, c[0].Err())
		seen[c[0].Op] = true
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
