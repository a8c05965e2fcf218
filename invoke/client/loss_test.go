package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/transcript"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// TestLossOfWorker: an idempotent call is made again on another worker, another
// one fails with the fate of its worker.
func TestLossOfWorker(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		s.fate = func(context.Context) error {
			return &invoke.Error{Status: invoke.StatusCrashed, Message: "killed by SIGSEGV"}
		}
		again, release := s.gate("again", invoke.Idempotent(true))
		never, _ := s.gate("never")
		p := s.open(client.Config{Lanes: 2, Mode: mode})
		kill := func() { // all: it is not known who has the call
			for _, w := range s.dialed() {
				w.stream.Close()
			}
		}
		f, err := p.Go(soon(t), "again", []byte("x"))
		require.NoError(t, err)
		receive(t, again)
		kill()
		receive(t, again)
		close(release)
		out, err := f.Wait(soon(t))
		require.NoError(t, err)
		require.Equal(t, "x", string(out))
		retries := p.Stats().Retries
		require.NotZero(t, retries)

		f, err = p.Go(soon(t), "never", nil)
		require.NoError(t, err)
		receive(t, never)
		kill()
		_, err = f.Wait(soon(t))
		require.ErrorIs(t, err, invoke.ErrCrashed)
		require.ErrorIs(t, err, invoke.ErrWorkerGone)
		require.ErrorContains(t, err, "killed by SIGSEGV")
		require.Equal(t, retries, p.Stats().Retries)
		_, err = p.Call(soon(t), "echo", nil, nil)
		require.NoError(t, err, "the client goes on")
	})
}

// TestAttempts: a call that kills its workers is not made again for ever, and
// says where it was tried.
func TestAttempts(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	entered, _ := s.gate("gate", invoke.Idempotent(true))
	s.fate = func(context.Context) error { return errors.New("gone with the wind") }
	p := s.open(client.Config{Attempts: 3, BackoffMin: time.Millisecond})
	f, err := p.Go(soon(t), "gate", nil)
	require.NoError(t, err)
	for range 3 {
		receive(t, entered)
		workers := s.dialed()
		workers[len(workers)-1].stream.Close()
	}
	_, err = f.Wait(soon(t))
	require.ErrorIs(t, err, invoke.ErrWorkerGone)
	require.ErrorContains(t, err, "gone with the wind")
	tried, ok := errors.AsType[*client.Error](err)
	require.True(t, ok)
	require.Len(t, tried.Attempts, 3)
}

// TestBusy: a worker without room is left alone for a while; the call goes on.
func TestBusy(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		calls := 0
		s.register("busy", func(context.Context, []byte, []byte) (int, error) {
			if calls++; calls < 3 {
				return 0, &invoke.Error{Status: invoke.StatusBusy}
			}
			return 0, nil
		})
		p := s.open(client.Config{Mode: mode, BackoffMin: time.Millisecond})
		_, err := p.Call(soon(t), "busy", nil, nil)
		require.ErrorIs(t, err, invoke.ErrBusy, "a function that says so was started")
		require.Equal(t, 1, calls)
		require.Zero(t, p.Stats().Retries)
		_, err = p.Call(soon(t), "echo", nil, nil)
		require.NoError(t, err)
	})
}

// TestDrainedWorker: one that is taken away is replaced, and no call lost.
func TestDrainedWorker(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		p := s.open(client.Config{Mode: mode, BackoffMin: time.Millisecond})
		_, err := p.Call(soon(t), "once", nil, nil)
		require.NoError(t, err)
		require.NoError(t, s.dialed()[0].worker.Drain(soon(t)))
		_, err = p.Call(soon(t), "once", nil, nil)
		require.NoError(t, err)
		require.Len(t, s.dialed(), 2)
		require.Zero(t, p.Stats().Losses)
	})
}

// TestShutdown: an idle lane leaves a worker that is shut down for another one, which is no
// loss and no reason for a warning.
func TestShutdown(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		var log transcript.Transcript
		p := s.open(client.Config{Mode: mode, BackoffMin: time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		for i := range 3 {
			_, err := p.Call(soon(t), "once", nil, nil)
			require.NoError(t, err)
			require.Len(t, s.dialed(), i+1)
			require.NoError(t, s.dialed()[i].worker.Shutdown(soon(t)))
			eventually(t, "another worker", func() bool { return len(s.dialed()) == i+2 })
		}
		require.Zero(t, p.Stats().Losses)
		require.Contains(t, log.String(), "worker replaced")
		require.NotContains(t, log.String(), "WARN")
	})
}

// TestTakenAwayDuringACall: a function that gives up because its worker is taken away is no
// answer to its caller: it is called again elsewhere, if it may be.
func TestTakenAwayDuringACall(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		again, release := s.gate("again", invoke.Idempotent(true))
		never, _ := s.gate("never")
		p := s.open(client.Config{Mode: mode, BackoffMin: time.Millisecond})
		f, err := p.Go(soon(t), "again", []byte("x"))
		require.NoError(t, err)
		receive(t, again)
		require.NoError(t, s.dialed()[0].worker.Close())
		receive(t, again)
		close(release)
		out, err := f.Wait(soon(t))
		require.NoError(t, err)
		require.Equal(t, "x", string(out))

		f, err = p.Go(soon(t), "never", nil)
		require.NoError(t, err)
		receive(t, never)
		require.NoError(t, s.dialed()[1].worker.Close())
		_, err = f.Wait(soon(t))
		require.ErrorIs(t, err, invoke.ErrRevoked)
		require.NotErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "the worker was taken away while the function ran")
	})
}

// TestFaultyTransport: hundreds of calls of an idempotent function over
// connections that are lost now and then all succeed.
func TestFaultyTransport(t *testing.T) {
	t.Parallel()
	losses := uint64(0)
	for seed := range 3 {
		s := newSite(t, fmt.Sprintf("faulty+loopback:?seed=%d&disconnect=0.01&status=0.01&queue-full=0.1&hold=0.1&wake=0.1", seed))
		cfg := client.Config{Lanes: 3, Attempts: 50, BackoffMin: time.Millisecond, BackoffMax: 2 * time.Millisecond, Dial: s.dial}
		p := newClient(t, cfg)
		n := 0
		for r, err := range client.Map(soon(t), p, "echo", numbers(300), client.MapOptions{}) {
			require.NoError(t, err, "seed %d", seed)
			require.Equal(t, n, r.Index)
			require.Equal(t, fmt.Sprint(n), string(r.Output))
			n++
		}
		require.Equal(t, 300, n)
		losses += p.Stats().Losses
		require.NoError(t, p.Close())
	}
	require.NotZero(t, losses, "no fault hit")
}

// TestBackoff, on a clock of its own: pauses double up to the bound, and calls
// fail by their deadline with the reason.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		p := newClient(t, client.Config{BackoffMin: time.Second, BackoffMax: 8 * time.Second, Dial: func(context.Context, int) (client.Worker, error) {
			at = append(at, time.Now())
			return client.Worker{}, errors.New("nobody home")
		}})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		begin := time.Now()
		_, err := p.Call(ctx, "f", nil, nil)
		require.Equal(t, time.Minute, time.Since(begin))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, "lane 0: dial: nobody home")
		require.NoError(t, p.Close())
		require.Greater(t, len(at), 8)
		for i, d := 1, time.Second; i < len(at); i, d = i+1, min(2*d, 8*time.Second) {
			pause := at[i].Sub(at[i-1])
			require.GreaterOrEqual(t, pause, d/2, "pause %d", i)
			require.LessOrEqual(t, pause, d, "pause %d", i)
		}
	})
}

// TestGiveUp: when no lane is left, calls fail at once.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dials := 0
		p := newClient(t, client.Config{MaxDials: 3, Dial: func(context.Context, int) (client.Worker, error) {
			dials++
			return client.Worker{}, nil
		}})
		_, err := p.Call(context.Background(), "f", nil, nil)
		require.ErrorIs(t, err, client.ErrNoWorker)
		require.ErrorContains(t, err, "neither a client nor an error")
		_, err = p.Go(context.Background(), "f", nil)
		require.ErrorIs(t, err, client.ErrNoWorker)
		require.Equal(t, 3, dials)
		require.True(t, p.Stats().Lanes[0].GivenUp)
	})
}

// TestBehindAGivenUpCall: what was sent behind a call for which its worker has ended
// itself was not begun, so it is made again, once, whatever its function; what was sent
// before may have been executed.
func TestBehindAGivenUpCall(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		s.fate = func(context.Context) error {
			return &invoke.Error{Status: invoke.StatusCanceled, Function: "step", Message: "it went on", Started: invoke.StartedYes}
		}
		executed, blocked, release := make(chan string, 10), make(chan struct{}), make(chan struct{})
		s.register("step", func(_ context.Context, in, _ []byte) (int, error) {
			if string(in) == "block" {
				close(blocked)
				<-release
				return 0, nil
			}
			executed <- string(in)
			return 0, nil
		})
		t.Cleanup(func() { close(release) })
		p := s.open(client.Config{Mode: mode, Ahead: time.Hour, Hooks: []client.Hook{
			func(_ context.Context, b *client.CallInfo) func(client.Result, error) {
				b.Metadata["trace"] = "1" // which is no reason to know less
				return nil
			},
		}})
		_, err := p.Call(soon(t), "step", []byte("first"), nil) // so that it is known how long it takes
		require.NoError(t, err)
		require.Equal(t, "first", receive(t, executed))

		wanted, giveUp := context.WithCancel(soon(t))
		futures := map[string]*client.Future{}
		for _, what := range []string{"block", "behind", "given up, too", "behind both"} {
			ctx := soon(t)
			if what == "block" || what == "given up, too" {
				ctx = wanted
			}
			futures[what], err = p.Go(ctx, "step", []byte(what))
			require.NoError(t, err)
			eventually(t, "the call to be sent", func() bool { return p.Stats().Waiting == 0 })
		}
		receive(t, blocked)
		giveUp()
		for _, what := range []string{"block", "given up, too"} {
			_, err = futures[what].Wait(soon(t))
			require.ErrorIs(t, err, context.Canceled)
		}
		s.dialed()[0].stream.Close()
		_, err = futures["behind both"].Wait(soon(t))
		require.NoError(t, err)
		require.Equal(t, "behind both", receive(t, executed))
		_, err = futures["behind"].Wait(soon(t))
		require.ErrorIs(t, err, invoke.ErrWorkerGone)
		require.NotErrorIs(t, err, context.Canceled, "its own caller has not given up")
		require.ErrorContains(t, err, "may have been executed")
		require.Empty(t, executed)
	})
}
