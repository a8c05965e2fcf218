package invoke_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// patience bounds every wait that should not take long.
const patience = 60 * time.Second

// everywhere runs a test over each provider.
func everywhere(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Parallel()
	for _, url := range []string{"loopback:", "shm:"} {
		t.Run(strings.TrimSuffix(url, ":"), func(t *testing.T) {
			t.Parallel()
			test(t, url)
		})
	}
}

// stand is a worker that runs, and where to dial it.
type stand struct {
	dev      *transport.Device
	registry *invoke.Registry
	worker   *invoke.Worker
	address  string
	served   chan error
}

// serve starts a worker over the provider with the functions of every test.
// Everything ends with the test, which fails if something is left over.
func serve(t testing.TB, url string, cfg invoke.WorkerConfig) *stand {
	t.Helper()
	dev := openDevice(t, url)
	s := &stand{dev: dev, registry: functions(t), served: make(chan error, 1)}
	if cfg.Logger == nil { // why a worker dropped a client is shown when a test fails
		cfg.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	var err error
	s.worker, err = invoke.NewWorker(dev, s.registry, cfg)
	require.NoError(t, err)
	listener, err := transport.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	s.address = listener.Addr().String()
	go func() { s.served <- s.worker.Serve(context.Background(), listener) }()
	t.Cleanup(func() {
		require.NoError(t, s.worker.Close())
		s.ended(t)
		require.NoError(t, listener.Close())
	})
	return s
}

// ended waits until Serve has returned.
func (s *stand) ended(t testing.TB) {
	t.Helper()
	select {
	case err, open := <-s.served:
		if open {
			require.NoError(t, err)
			close(s.served)
		}
	case <-time.After(patience):
		t.Fatalf("Serve does not return; goroutines:\n%s", stacks())
	}
}

// openDevice opens a device and, at the end of the test, demands that nothing
// made from it is left.
func openDevice(t testing.TB, url string) *transport.Device {
	t.Helper()
	dev, err := transport.Open(url)
	require.NoError(t, err)
	t.Cleanup(func() {
		eventually(t, "the device to be empty", func() bool { return len(dev.Inventory()) == 0 })
		require.NoError(t, dev.Close())
	})
	return dev
}

// dial connects a client; it is closed at the end of the test.
func (s *stand) dial(t testing.TB, cfg invoke.ClientConfig) *invoke.Client {
	t.Helper()
	c, err := invoke.Dial(soon(t), s.dev, "unix", s.address, cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// register adds a function to the stand's and returns a handle of it.
func (s *stand) register(t testing.TB, c *invoke.Client, name string, f invoke.Function) *invoke.Handle {
	t.Helper()
	require.NoError(t, s.registry.Register(name, f))
	return find(t, c, name)
}

// gate makes a function that says when it is entered, waits until it is let go,
// and echoes.
func (s *stand) gate(t testing.TB, c *invoke.Client) (f *invoke.Handle, entered, release chan struct{}) {
	entered, release = make(chan struct{}, 1000), make(chan struct{})
	f = s.register(t, c, "gate", func(_ context.Context, in, out []byte) (int, error) {
		entered <- struct{}{}
		<-release
		return copy(out, in), nil
	})
	return f, entered, release
}

// within is a context that ends after d, or with the test.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

func soon(t testing.TB) context.Context { return within(t, patience) }

func find(t testing.TB, c *invoke.Client, name string) *invoke.Handle {
	t.Helper()
	f, err := c.Function(soon(t), name)
	require.NoError(t, err)
	return f
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s; goroutines:\n%s", what, stacks())
		}
	}
}

func receive[T any](t testing.TB, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain; goroutines:\n%s", stacks())
		panic("unreachable")
	}
}

func stacks() string {
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// functions is a registry of what the tests call.
func functions(t testing.TB) *invoke.Registry {
	r := invoke.NewRegistry()
	add := func(name string, f invoke.Function, options ...invoke.Option) {
		require.NoError(t, r.Register(name, f, options...))
	}
	add("echo", func(_ context.Context, in, out []byte) (int, error) {
		if len(in) > len(out) {
			return len(in), nil
		}
		return copy(out, in), nil
	}, invoke.Idempotent(true))
	add("noop", func(context.Context, []byte, []byte) (int, error) { return 0, nil })
	add("fail", func(_ context.Context, in, _ []byte) (int, error) { return 0, fmt.Errorf("no luck with %q", in) })
	return r
}
