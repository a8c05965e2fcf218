package manager

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/transcript"
)

// patience bounds every wait over real sockets that should not take long.
const patience = 60 * time.Second

// pipes is a network within the process, for tests with a clock of their own: it has
// one address, whose listener may be closed and opened again. Pipes have no buffers.
type pipes struct {
	mu       sync.Mutex
	listener *pipeListener // nil while no one listens
	conns    []net.Conn
}

type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) listen() net.Listener {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener = &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	return p.listener
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	p.mu.Lock()
	l := p.listener
	p.mu.Unlock()
	if l == nil {
		return nil, errors.New("no one listens")
	}
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conns = append(p.conns, client)
		return client, nil
	case <-l.closed:
		return nil, errors.New("no one listens any more")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// breakAll breaks all connections.
func (p *pipes) breakAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.conns = nil
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// http is a client over the pipes, which ends with the test.
func (p *pipes) http(t *testing.T) *http.Client {
	transport := &http.Transport{DialContext: p.dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// serverTimeout is how long a request and its answer may take.
const serverTimeout = 2 * answerTimeout

// run serves a manager until stop, which leaves nothing of it.
func run(t *testing.T, l net.Listener, cfg Config) (m *Manager, stop func()) {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	m = must(New(cfg))
	server := &http.Server{Handler: m, ReadTimeout: serverTimeout, WriteTimeout: serverTimeout, ErrorLog: slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	stop = sync.OnceFunc(func() {
		require.NoError(t, m.Close())
		require.NoError(t, server.Close())
		require.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	t.Cleanup(stop)
	return m, stop
}

func loopback() net.Listener { return must(net.Listen("tcp", "127.0.0.1:0")) }

// journal is a log that tests read.
type journal struct{ transcript.Transcript }

func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// open starts a watch from revision 0 of life 1, and leaves its lines to the test.
func open(t *testing.T, c *http.Client, url string) *bufio.Reader {
	t.Helper()
	answer, err := c.Get(fmt.Sprintf("%s/v1/watch?life=%s&revision=0", url, formatLife(1)))
	require.NoError(t, err)
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(answer.Body)
		require.Equal(t, http.StatusOK, answer.StatusCode, string(body))
	}
	return bufio.NewReader(answer.Body)
}

func readLine(t *testing.T, r *bufio.Reader) Change {
	t.Helper()
	line, err := r.ReadBytes('\n')
	require.NoError(t, err)
	c, err := decodeLine(line)
	require.NoError(t, err)
	return c
}

// client is a client of the manager behind the pipes.
func (p *pipes) client(t *testing.T) *Client {
	t.Helper()
	c := must(NewClient("http://m", p.http(t)))
	c.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	return c
}

// background runs something until the test ends, or stop.
func background(t *testing.T, do func(context.Context) error) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = stop() })
	return stop
}

// awaitView waits until a view is as it should be.
func awaitView(t *testing.T, v *View, ok func() bool) {
	t.Helper()
	for timeout := time.After(patience); ; {
		changed := v.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			_, why := v.Stale()
			require.FailNow(t, "the view does not become as it should be", "%v, stale: %v", v.Nodes(), why)
		}
	}
}

func isCurrent(v *View) bool {
	_, why := v.Stale()
	return why == nil
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
