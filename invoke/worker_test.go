package invoke_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/transcript"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

func TestDrain(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		f, entered, release := s.gate(t, c)
		never := s.register(t, c, "never", s.never(t))
		running, err := c.Go(soon(t), f, []byte("in time"))
		require.NoError(t, err)
		receive(t, entered)
		require.ErrorIs(t, s.worker.Drain(within(t, 20*time.Millisecond)), context.DeadlineExceeded, "a call runs")
		refused, err := c.Go(soon(t), never, nil)
		require.NoError(t, err)

		drained := make(chan error)
		go func() { drained <- s.worker.Drain(soon(t)) }()
		release <- struct{}{}
		require.NoError(t, receive(t, drained))
		out := make([]byte, 10)
		n, err := running.Wait(soon(t), out)
		require.NoError(t, err)
		require.Equal(t, "in time", string(out[:n]))
		_, err = refused.Wait(soon(t), nil)
		require.ErrorIs(t, err, invoke.ErrRevoked)
		e := (*invoke.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Equal(t, invoke.StartedNo, e.Started)
		_, err = c.Call(soon(t), never, nil, nil)
		require.ErrorIs(t, err, invoke.ErrRevoked, "it goes on refusing")
		require.NoError(t, s.worker.Drain(soon(t)), "once more is fine")

		_, err = invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{})
		require.ErrorIs(t, err, invoke.ErrRevoked)

		require.NoError(t, s.worker.Close())
		_, err = c.Call(soon(t), never, nil, nil)
		require.True(t, errors.Is(err, invoke.ErrWorkerGone) || errors.Is(err, invoke.ErrRevoked), "%v", err)
		receive(t, c.Done())
		s.ended(t)
		_, err = c.Call(soon(t), never, nil, nil)
		require.ErrorIs(t, err, invoke.ErrWorkerGone)
	})
}

func TestCloseWhileACallRuns(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		entered := make(chan struct{})
		f := s.register(t, c, "until the end", func(ctx context.Context, _, out []byte) (int, error) {
			close(entered)
			<-ctx.Done()
			return copy(out, "done"), nil
		})
		future, err := c.Go(soon(t), f, nil)
		require.NoError(t, err)
		receive(t, entered)
		require.NoError(t, s.worker.Close())
		s.ended(t)
		out := make([]byte, 4)
		n, err := future.Wait(soon(t), out)
		require.NoError(t, err, "the call that ran was answered")
		require.Equal(t, "done", string(out[:n]))
		receive(t, c.Done())
		_, err = c.Call(soon(t), f, nil, nil)
		require.ErrorIs(t, err, invoke.ErrWorkerGone)
		gone := (*invoke.GoneError)(nil)
		require.ErrorAs(t, err, &gone)
		require.Equal(t, invoke.StartedNo, gone.Started)
		require.ErrorIs(t, err, transport.ErrPeerClosed)
	})
}

func TestWorkerThatWasNeverServed(t *testing.T) {
	t.Parallel()
	dev := openDevice(t, "loopback:")
	w, err := invoke.NewWorker(dev, functions(t), invoke.WorkerConfig{})
	require.NoError(t, err)
	require.NoError(t, w.Drain(soon(t)))
	require.NoError(t, w.Close())
	require.NoError(t, w.Close())
	require.ErrorIs(t, w.Serve(context.Background(), nil), transport.ErrClosed)
}

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	dev := openDevice(t, "loopback:")
	w, err := invoke.NewWorker(dev, functions(t), invoke.WorkerConfig{})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- w.Serve(ctx, nil) }()
	cancel()
	require.NoError(t, receive(t, served))
}

func TestMaxClients(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{MaxClients: 2})
		first, second := s.dial(t, invoke.ClientConfig{}), s.dial(t, invoke.ClientConfig{})
		_, err := invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{})
		require.ErrorIs(t, err, invoke.ErrBusy)
		require.ErrorContains(t, err, "2 clients, as many as it takes")
		require.NoError(t, first.Close())
		find(t, second, "echo")
		// The place is free again, again and again.
		for range 20 {
			var c *invoke.Client
			eventually(t, "a place", func() bool {
				var err error
				c, err = invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{})
				return err == nil
			})
			find(t, c, "echo")
			require.NoError(t, c.Close())
		}
	})
}

func TestAuthorize(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{
			Authorize: func(_ context.Context, peer transport.Peer, token []byte) error {
				if peer.Credentials == nil {
					return errors.New("who is it?")
				}
				if string(token) != "open sesame" {
					return fmt.Errorf("%q is not the word", token)
				}
				return nil
			},
		})
		_, err := invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{Token: []byte("please")})
		require.ErrorIs(t, err, transport.ErrRejected)
		require.ErrorContains(t, err, `"please" is not the word`)
		find(t, s.dial(t, invoke.ClientConfig{Token: []byte("open sesame")}), "echo")

		_, err = invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{
			Token:     []byte("open sesame"),
			Authorize: func(context.Context, transport.Peer) error { return errors.New("not the worker I know") },
		})
		require.ErrorContains(t, err, "not the worker I know")
		_, err = invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{Token: make([]byte, invoke.MaxTokenBytes+1)})
		require.ErrorContains(t, err, "token")
	})
}

// meter adds up what it is told.
type meter struct {
	mu    sync.Mutex
	calls []invoke.Execution
}

func (m *meter) Executed(e invoke.Execution) {
	m.mu.Lock()
	m.calls = append(m.calls, e)
	m.mu.Unlock()
}

func TestMeterAndStats(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		meters := map[string]*meter{"a": {}, "b": {}}
		s := serve(t, url, invoke.WorkerConfig{NewMeter: func(_ transport.Peer, token []byte) invoke.Meter {
			return meters[string(token)]
		}})
		a := s.dial(t, invoke.ClientConfig{Token: []byte("a")})
		b := s.dial(t, invoke.ClientConfig{Token: []byte("b")})
		echo, fail := find(t, a, "echo"), find(t, b, "fail")
		out := make([]byte, 100)
		for range 10 {
			_, err := a.Call(soon(t), echo, make([]byte, 70), out)
			require.NoError(t, err)
		}
		_, err := b.Call(soon(t), fail, make([]byte, 5), out)
		require.ErrorIs(t, err, invoke.ErrFunction)
		eventually(t, "the numbers", func() bool { return s.worker.Stats().Calls == 13 })
		stats := s.worker.Stats()
		require.EqualValues(t, 1, stats.Errors)
		require.EqualValues(t, 10*70+5+len("echo")+len("fail"), stats.BytesIn)
		require.EqualValues(t, 10*70+2*8, stats.BytesOut)
		require.Equal(t, 2, stats.Clients)
		require.Positive(t, stats.Busy)

		require.NoError(t, a.Close())
		eventually(t, "the client to be gone", func() bool { return s.worker.Stats().Clients == 1 })
		meters["a"].mu.Lock()
		defer meters["a"].mu.Unlock()
		require.Len(t, meters["a"].calls, 10, "look-ups are no calls")
		last := meters["a"].calls[9]
		require.Equal(t, "echo", last.Function)
		require.Equal(t, 70, last.BytesIn)
		require.Equal(t, 70, last.BytesOut)
		require.Equal(t, invoke.StatusOK, last.Status)
		require.GreaterOrEqual(t, last.Execution, time.Duration(0))
		require.Positive(t, last.Polled)
		meters["b"].mu.Lock()
		defer meters["b"].mu.Unlock()
		require.Equal(t, invoke.StatusFunctionError, meters["b"].calls[0].Status)
		require.Zero(t, meters["b"].calls[0].BytesOut)
	})
}

func TestLog(t *testing.T) {
	t.Parallel()
	var log transcript.Transcript
	s := serve(t, "loopback:", invoke.WorkerConfig{MaxClients: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	c := s.dial(t, invoke.ClientConfig{})
	f := s.register(t, c, "crash", func(context.Context, []byte, []byte) (int, error) { panic("aargh") })
	_, err := c.Call(soon(t), f, nil, nil)
	require.ErrorIs(t, err, invoke.ErrCrashed)
	_, err = invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{})
	require.ErrorIs(t, err, invoke.ErrBusy)
	require.NoError(t, c.Close())
	for _, line := range []string{"client connected", "function crashed", "aargh", "client refused", "client gone"} {
		eventually(t, line, func() bool { return strings.Contains(log.String(), line) })
	}
}

// TestManyClients has many clients share one worker and come and go.
func TestManyClients(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const clients = 200
		var log transcript.Transcript
		s := serve(t, url, invoke.WorkerConfig{Slots: 4, SlotBytes: 512, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		defer func() {
			if t.Failed() {
				t.Log(strings.Join(slices.DeleteFunc(strings.Split(log.String(), "\n"), func(line string) bool {
					return strings.Contains(line, "client connected") || strings.Contains(line, "the peer closed")
				}), "\n"))
			}
		}()
		var all sync.WaitGroup
		for i := range clients {
			all.Go(func() {
				c, err := invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{Slots: 4, SlotBytes: 512, Mode: invoke.Warm})
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				f, err := c.Function(soon(t), "echo")
				if err != nil {
					t.Error(err)
					return
				}
				out := make([]byte, 100)
				for round := range 20 {
					in := fmt.Sprintf("client %d, round %d", i, round)
					n, err := c.Call(soon(t), f, []byte(in), out)
					if err != nil || string(out[:n]) != in {
						t.Errorf("%q came back as %q, %v", in, out[:n], err)
						return
					}
				}
			})
		}
		all.Wait()
		eventually(t, "all clients to be gone", func() bool { return s.worker.Stats().Clients == 0 })
		require.EqualValues(t, clients*21, s.worker.Stats().Calls)
	})
}

// A worker that is shut down answers what runs, tells its clients, and gives the ones that
// do not hang up a second.
func TestShutdown(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		gate, entered, release := s.gate(t, c)
		running, err := c.Go(soon(t), gate, []byte("x"))
		require.NoError(t, err)
		receive(t, entered)
		shut := make(chan error)
		go func() { shut <- s.worker.Shutdown(soon(t)) }()
		receive(t, c.Draining())
		require.NoError(t, c.Err())
		release <- struct{}{}
		out := make([]byte, 1)
		_, err = running.Wait(soon(t), out)
		require.NoError(t, err)
		require.Equal(t, "x", string(out))
		require.NoError(t, receive(t, shut))
		s.ended(t)
		_, err = c.Call(soon(t), gate, nil, nil)
		require.ErrorIs(t, err, invoke.ErrWorkerGone)

		s = serve(t, url, invoke.WorkerConfig{})
		c = s.dial(t, invoke.ClientConfig{})
		gate, entered, release = s.gate(t, c)
		_, err = c.Go(soon(t), gate, nil)
		require.NoError(t, err)
		receive(t, entered)
		require.ErrorIs(t, s.worker.Shutdown(within(t, time.Millisecond)), context.DeadlineExceeded)
		close(release)
		s.ended(t)
		require.NoError(t, s.worker.Shutdown(soon(t)), "it is over")
	})
}
