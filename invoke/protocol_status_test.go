package invoke_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// TestStatuses has one function for every way in which a call can end.
func TestStatuses(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const slotBytes = 300
		s := serve(t, url, invoke.WorkerConfig{SlotBytes: slotBytes, CallBytes: -1})
		c := s.dial(t, invoke.ClientConfig{})
		var none []byte
		for _, test := range []struct {
			name    string
			f       invoke.Function
			in      int // bytes
			is      error
			started invoke.Started
			message string
		}{
			{"error", func(context.Context, []byte, []byte) (int, error) { return 0, errors.New("out of paper") },
				0, invoke.ErrFunction, invoke.StartedYes, "out of paper"},
			{"error beside a length", func(context.Context, []byte, []byte) (int, error) { return 1 << 40, errors.New("odd") },
				0, invoke.ErrFunction, invoke.StartedYes, "odd"},
			{"long error", func(context.Context, []byte, []byte) (int, error) { return 0, errors.New(strings.Repeat("日", 1000)) },
				0, invoke.ErrFunction, invoke.StartedYes, strings.Repeat("日", slotBytes/3)},
			{"panic", func(context.Context, []byte, []byte) (int, error) { panic("over the top") },
				0, invoke.ErrCrashed, invoke.StartedYes, "panic: over the top, at protocol_status_test.go:"},
			{"index", func(_ context.Context, in, _ []byte) (int, error) { return int(in[len(in)]), nil },
				3, invoke.ErrCrashed, invoke.StartedYes, "index out of range [3] with length 3"},
			{"nil", func(context.Context, []byte, []byte) (int, error) { return len(*(*string)(nil)), nil },
				0, invoke.ErrCrashed, invoke.StartedYes, "nil pointer dereference"},
			{"behind the input", func(_ context.Context, in, _ []byte) (int, error) { return len(in[:cap(in)+1]), nil },
				3, invoke.ErrCrashed, invoke.StartedYes, "slice bounds out of range [:4] with capacity 3"},
			{"negative", func(context.Context, []byte, []byte) (int, error) { return -1, nil },
				0, invoke.ErrCrashed, invoke.StartedYes, "length of -1 bytes"},
			{"result too long", func(_ context.Context, _, out []byte) (int, error) { return len(out) + 1, nil },
				0, invoke.ErrTooLarge, invoke.StartedYes, "the result has 301 bytes, there is room for 300"},
			{"short buffer", func(context.Context, []byte, []byte) (int, error) {
				return 0, fmt.Errorf("12345 bytes would be needed: %w", io.ErrShortBuffer)
			}, 0, invoke.ErrTooLarge, invoke.StartedYes, "12345 bytes would be needed"},
			{"input too long", s.never(t), slotBytes + 1, invoke.ErrTooLarge, invoke.StartedNo, "the input has 301 bytes, a slot holds 300"},
			{"busy", func(context.Context, []byte, []byte) (int, error) {
				return 0, fmt.Errorf("all pools: %w", invoke.ErrBusy)
			},
				0, invoke.ErrBusy, invoke.StartedYes, "all pools"},
			{"its own not found", func(context.Context, []byte, []byte) (int, error) {
				return 0, fmt.Errorf("no such album: %w", invoke.ErrNotFound)
			}, 0, invoke.ErrFunction, invoke.StartedYes, "no such album: invoke: not found"},
			{"another worker's", func(context.Context, []byte, []byte) (int, error) {
				return 0, fmt.Errorf("asking for the album: %w", &invoke.Error{Status: invoke.StatusBusy, Worker: "w2", Message: "no room"})
			}, 0, invoke.ErrFunction, invoke.StartedYes, "asking for the album: invoke on w2: busy: no room"},
			{"typed", func(context.Context, []byte, []byte) (int, error) {
				return 0, &invoke.Error{Status: invoke.StatusRevoked, Message: "lease 7 is over"}
			}, 0, invoke.ErrRevoked, invoke.StartedYes, "lease 7 is over"},
			{"late", func(context.Context, []byte, []byte) (int, error) { return 0, context.DeadlineExceeded },
				0, context.DeadlineExceeded, invoke.StartedYes, "deadline exceeded"},
		} {
			f := s.register(t, c, test.name, test.f)
			n, err := c.Call(soon(t), f, make([]byte, test.in), none)
			require.Zero(t, n, test.name)
			require.ErrorIs(t, err, test.is, test.name)
			e := (*invoke.Error)(nil)
			require.ErrorAs(t, err, &e, test.name)
			require.Equal(t, test.started, e.Started, test.name)
			require.Equal(t, test.name, e.Function)
			require.Equal(t, c.Worker(), e.Worker)
			require.Contains(t, e.Message, test.message, test.name)
			require.True(t, utf8.ValidString(e.Message), "%s: a character was cut", test.name)
			require.ErrorContains(t, err, test.message)
			for _, other := range []error{invoke.ErrNotFound, invoke.ErrVersionMismatch, invoke.ErrWorkerGone, invoke.ErrNoCredit} {
				require.NotErrorIs(t, err, other, test.name)
			}
		}

		// The worker has lived through all of it.
		out := make([]byte, 2)
		n, err := c.Call(soon(t), find(t, c, "echo"), []byte("ok"), out)
		require.NoError(t, err)
		require.Equal(t, "ok", string(out[:n]))
	})
}

// never is a function that must not be executed.
func (s *stand) never(t testing.TB) invoke.Function {
	return func(context.Context, []byte, []byte) (int, error) {
		t.Error("this must not be executed")
		return 0, nil
	}
}

func TestResultLongerThanTheCallersSlice(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 1})
		f := find(t, c, "echo")
		_, err := c.Call(soon(t), f, make([]byte, 10), make([]byte, 9))
		require.ErrorIs(t, err, invoke.ErrTooLarge)
		require.ErrorContains(t, err, "the result has 10 bytes, the caller made room for 9")
		_, err = c.Call(soon(t), f, make([]byte, 9), make([]byte, 9))
		require.NoError(t, err, "the credit came back")
	})
}

// TestGoexit: a function that ends its goroutine ends the worker, in good order.
func TestGoexit(t *testing.T) {
	t.Parallel()
	dev := openDevice(t, "loopback:")
	r := invoke.NewRegistry()
	require.NoError(t, r.Register("exit", func(context.Context, []byte, []byte) (int, error) {
		runtime.Goexit()
		return 0, nil
	}))
	w, err := invoke.NewWorker(dev, r, invoke.WorkerConfig{})
	require.NoError(t, err)
	l, err := transport.Listen("unix", t.TempDir()+"/s")
	require.NoError(t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Serve(context.Background(), l)
	}()
	c, err := invoke.Dial(soon(t), dev, "unix", l.Addr().String(), invoke.ClientConfig{})
	require.NoError(t, err)
	_, err = c.Call(soon(t), find(t, c, "exit"), nil, nil)
	require.ErrorIs(t, err, invoke.ErrWorkerGone)
	receive(t, ended)
	require.NoError(t, c.Close())
	require.NoError(t, l.Close())
}

func TestFunctionContext(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{})
		type seen struct {
			deadline time.Time
			has      bool
			err      error
		}
		saw := make(chan seen, 1)
		look := s.register(t, c, "look", func(ctx context.Context, _, _ []byte) (int, error) {
			var v seen
			v.deadline, v.has = ctx.Deadline()
			v.err = ctx.Err()
			saw <- v
			return 0, nil
		})
		_, err := c.Call(context.Background(), look, nil, nil)
		require.NoError(t, err)
		v := receive(t, saw)
		require.False(t, v.has)
		require.NoError(t, v.err)

		ctx := within(t, time.Hour)
		_, err = c.Call(ctx, look, nil, nil)
		require.NoError(t, err)
		v = receive(t, saw)
		want, _ := ctx.Deadline()
		require.WithinDuration(t, want, v.deadline, patience)
		require.NoError(t, v.err)

		// Done is closed when the call is over, and what was derived from it ends.
		kept := make(chan context.Context, 1)
		keep := s.register(t, c, "keep", func(ctx context.Context, _, _ []byte) (int, error) {
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			kept <- child
			return 0, child.Err()
		})
		_, err = c.Call(context.Background(), keep, nil, nil)
		require.NoError(t, err)
		receive(t, receive(t, kept).Done())
		_, err = c.Call(context.Background(), look, nil, nil)
		require.NoError(t, err)
		require.NoError(t, receive(t, saw).err, "the next call has a context that lives")

		// A panic ends the context, too.
		done := make(chan (<-chan struct{}), 1)
		crash := s.register(t, c, "crash", func(ctx context.Context, _, _ []byte) (int, error) {
			done <- ctx.Done()
			panic("with a context in use")
		})
		_, err = c.Call(context.Background(), crash, nil, nil)
		require.ErrorIs(t, err, invoke.ErrCrashed)
		receive(t, receive(t, done))
		_, err = c.Call(context.Background(), look, nil, nil)
		require.NoError(t, err)
		require.NoError(t, receive(t, saw).err, "the next call has a context that lives")

		// A function can wait for its deadline, which passes at the worker as well.
		wait := s.register(t, c, "wait", func(ctx context.Context, _, _ []byte) (int, error) {
			<-ctx.Done()
			saw <- seen{err: ctx.Err()}
			return 0, ctx.Err()
		})
		for timeout, started := 5*time.Millisecond, invoke.StartedNo; started == invoke.StartedNo; timeout *= 2 {
			future, err := c.Go(context.Background(), wait, nil, invoke.CallOptions{Timeout: timeout})
			require.NoError(t, err)
			_, err = future.Take(soon(t))
			require.ErrorIs(t, err, invoke.ErrDeadlineExceeded)
			started = err.(*invoke.Error).Started // not, if it has passed before that, on a busy machine
		}
		require.ErrorIs(t, receive(t, saw).err, context.DeadlineExceeded)

		// The end of the client ends its call.
		other := s.dial(t, invoke.ClientConfig{})
		started := make(chan struct{})
		hang := s.register(t, other, "hang", func(ctx context.Context, _, _ []byte) (int, error) {
			close(started)
			for ctx.Err() == nil {
				runtime.Gosched()
			}
			saw <- seen{err: ctx.Err()}
			return 0, nil
		})
		_, err = other.Go(context.Background(), hang, nil)
		require.NoError(t, err)
		receive(t, started)
		require.NoError(t, other.Close())
		require.ErrorIs(t, receive(t, saw).err, context.Canceled)
	})
}

// An application's codes come to the caller, whatever the function has wrapped them in,
// and from beyond the slots, too; a later answer in the same slot has none.
func TestFunctionErrors(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{SlotBytes: 4096})
		c := s.dial(t, invoke.ClientConfig{Slots: 1})
		const noAlbum = 404
		coded := s.register(t, c, "coded", func(context.Context, []byte, []byte) (int, error) {
			return 0, &invoke.FunctionError{Code: noAlbum, Message: "no such album"}
		})
		wrapped := s.register(t, c, "wrapped", func(context.Context, []byte, []byte) (int, error) {
			return 0, fmt.Errorf("photo 7: %w", &invoke.FunctionError{Code: 1<<32 - 1, Message: "no such album"})
		})
		plain := s.register(t, c, "plain", func(context.Context, []byte, []byte) (int, error) { return 0, errors.New("no luck") })
		for _, want := range []struct {
			f    *invoke.Handle
			in   int
			code uint32
			text string
		}{
			{coded, 1, noAlbum, ": function error (code 404): no such album"},
			{coded, 100_000, noAlbum, ": function error (code 404): no such album"},
			{plain, 1, 0, ": function error: no luck"},
			{wrapped, 1, 1<<32 - 1, ": function error (code 4294967295): photo 7: no such album (code 4294967295)"},
		} {
			_, err := c.Call(soon(t), want.f, make([]byte, want.in), nil)
			e := (*invoke.Error)(nil)
			require.ErrorAs(t, err, &e)
			require.Equal(t, invoke.StatusFunctionError, e.Status)
			require.Equal(t, want.code, e.Code)
			require.ErrorContains(t, err, want.text)
		}
	})
}
