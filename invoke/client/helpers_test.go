package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	_ "github.com/rfaas-go/rfaas/softroce"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/faulty"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// patience bounds every wait that should not take long.
const patience = 60 * time.Second

// site has workers for the lanes of a client; each Dial gets a new one.
type site struct {
	t        testing.TB
	dir      string // of the workers' sockets
	dev      *transport.Device
	registry *invoke.Registry
	client   invoke.ClientConfig
	config   invoke.WorkerConfig
	fate     func(ctx context.Context) error

	dials   atomic.Int64
	mu      sync.Mutex
	workers []*staff // by Dial
	closed  int      // Worker.Close
}

// staff is one worker.
type staff struct {
	lane    int
	address string
	worker  *invoke.Worker
	stream  net.Conn // of the connection, which ends with it as if the worker had died
	end     func()   // of the worker, in good order
}

// newSite makes a site over a provider. At the end of the test nothing made from
// its device may be left.
func newSite(t testing.TB, url string) *site {
	t.Helper()
	dev, err := transport.Open(url)
	require.NoError(t, err)
	s := &site{t: t, dir: t.TempDir(), dev: dev, registry: invoke.NewRegistry(), client: invoke.ClientConfig{Mode: invoke.Warm}}
	t.Cleanup(func() {
		for _, w := range s.workers {
			w.end()
		}
		eventually(t, "the device to be empty", func() bool { return len(dev.Inventory()) == 0 })
		require.NoError(t, dev.Close())
		require.Equal(t, len(s.workers), s.closed, "each worker that was dialed is closed once")
	})
	s.register("echo", func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil }, invoke.Idempotent(true))
	s.register("once", func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil })
	s.register("fail", func(_ context.Context, in, _ []byte) (int, error) { return 0, fmt.Errorf("no luck with %q", in) })
	return s
}

func (s *site) register(name string, f invoke.Function, options ...invoke.Option) {
	s.t.Helper()
	require.NoError(s.t, s.registry.Register(name, f, options...))
}

func (s *site) dial(ctx context.Context, lane int) (client.Worker, error) {
	worker, err := invoke.NewWorker(s.dev, s.registry, s.config)
	if err != nil {
		return client.Worker{}, err
	}
	listener, err := transport.Listen("unix", filepath.Join(s.dir, strconv.FormatInt(s.dials.Add(1), 10)))
	if err != nil {
		return client.Worker{}, errors.Join(err, worker.Close())
	}
	served := make(chan struct{})
	go func() { worker.Serve(context.Background(), listener); close(served) }()
	end := sync.OnceFunc(func() {
		worker.Close()
		<-served
		listener.Close()
	})
	var conn *invoke.Client
	stream, err := net.Dial("unix", listener.Addr().String())
	if err == nil {
		conn, err = invoke.Connect(ctx, s.dev, stream, s.client)
	}
	if err != nil {
		end()
		return client.Worker{}, err
	}
	s.mu.Lock()
	s.workers = append(s.workers, &staff{lane, listener.Addr().String(), worker, stream, end})
	s.mu.Unlock()
	return client.Worker{Client: conn, Fate: s.fate, Close: func() error {
		s.mu.Lock()
		s.closed++
		s.mu.Unlock()
		return nil
	}}, nil
}

// dialed are the workers so far.
func (s *site) dialed() []*staff {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*staff(nil), s.workers...)
}

// open makes a client over the site's workers and waits for its lanes.
func (s *site) open(cfg client.Config) *client.Client {
	s.t.Helper()
	cfg.Dial = s.dial
	p := newClient(s.t, cfg)
	eventually(s.t, "the lanes to be up", func() bool { return p.Stats().Up == max(cfg.Lanes, 1) })
	return p
}

func newClient(t testing.TB, cfg client.Config) *client.Client {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	p, err := client.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("waited in vain for %s; goroutines:\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

// stays checks that a condition holds, for long enough that a lane would have
// looked.
func stays(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 20 {
		require.True(t, holds(), what)
		time.Sleep(time.Millisecond)
	}
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("waited in vain; goroutines:\n%s", buf[:runtime.Stack(buf, true)])
		panic("unreachable")
	}
}

// gate registers a function that says when it is entered, with its input, and
// waits to be let go: one receive each.
func (s *site) gate(name string, options ...invoke.Option) (entered chan string, release chan struct{}) {
	entered, release = make(chan string, 1000), make(chan struct{})
	s.register(name, func(ctx context.Context, in, out []byte) (int, error) {
		entered <- string(in)
		select {
		case <-release:
		case <-ctx.Done(): // the worker is killed, or the caller gone
			return 0, ctx.Err()
		}
		return copy(out, in), nil
	}, options...)
	return entered, release
}

// modes runs a test in each mode.
func modes(t *testing.T, test func(t *testing.T, mode invoke.Mode)) {
	t.Parallel()
	for _, m := range []invoke.Mode{invoke.Warm, invoke.DefaultMode, invoke.Hot} {
		t.Run(strings.ReplaceAll(m.String(), ":", "-"), func(t *testing.T) {
			t.Parallel()
			test(t, m)
		})
	}
}
