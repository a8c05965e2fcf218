package client_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// numbers are inputs 0 to n-1, in memory that is used again.
func numbers(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		in := make([]byte, 0, 20)
		for i := range n {
			if in = fmt.Append(in[:0], i); !yield(in) {
				return
			}
		}
	}
}

func TestMap(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		p := newSite(t, "loopback:").open(client.Config{Lanes: 2, Mode: mode})
		for _, unordered := range []bool{false, true} {
			seen := map[int]bool{}
			for r, err := range client.Map(soon(t), p, "echo", numbers(200), client.MapOptions{Unordered: unordered}) {
				require.NoError(t, err)
				require.Equal(t, fmt.Sprint(r.Index), string(r.Output))
				require.False(t, seen[r.Index])
				if !unordered {
					require.Equal(t, len(seen), r.Index)
				}
				require.Empty(t, r.Failed)
				seen[r.Index] = true
			}
			require.Len(t, seen, 200)
		}
	})
}

// TestMapErrors: an error is its item's, unless it is to be the end.
func TestMapErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	s.register("odd", func(_ context.Context, in, out []byte) (int, error) {
		if in[len(in)-1]%2 == 1 {
			return 0, errors.New("odd")
		}
		return copy(out, in), nil
	})
	p := s.open(client.Config{Lanes: 2})
	n := 0
	for r, err := range client.Map(soon(t), p, "odd", numbers(20), client.MapOptions{}) {
		require.Equal(t, n, r.Index)
		require.Equal(t, n%2 == 1, err != nil)
		n++
	}
	require.Equal(t, 20, n)
	n = 0
	for _, err := range client.Map(soon(t), p, "odd", numbers(20), client.MapOptions{StopOnError: true}) {
		if n++; err != nil {
			require.ErrorIs(t, err, invoke.ErrFunction)
		}
	}
	require.Equal(t, 2, n)

	broken, n := errors.New("a broken input"), 0
	inputs := func(yield func([]byte, error) bool) {
		_ = yield([]byte("0"), nil) && yield(nil, broken) && yield([]byte("2"), nil)
	}
	for r, err := range client.MapErr(soon(t), p, "odd", inputs, client.MapOptions{}) {
		if r.Index == 1 {
			require.Equal(t, broken, err)
		} else {
			require.NoError(t, err)
		}
		n++
	}
	require.Equal(t, 3, n)
}

// TestMapWindow: no more inputs are taken than the window has room for, and a
// consumer that leaves gives the rest up.
func TestMapWindow(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	p := s.open(client.Config{Lanes: 2})
	taken, stopped := 0, false
	inputs := func(yield func([]byte) bool) {
		defer func() { stopped = true }()
		for in := range numbers(1000) {
			if taken++; !yield(in) {
				return
			}
		}
	}
	handed := 0
	for _, err := range client.Map(soon(t), p, "echo", inputs, client.MapOptions{Window: 5}) {
		require.NoError(t, err)
		handed++
		require.LessOrEqual(t, taken, handed+5)
		if handed == 20 {
			break
		}
	}
	require.True(t, stopped)
	require.Zero(t, p.Stats().Waiting)
	entered, _ := s.gate("gate")
	ctx, cancel := context.WithCancel(soon(t))
	go func() { <-entered; cancel() }()
	var last error
	n := 0
	for _, err := range client.Map(ctx, p, "gate", numbers(100), client.MapOptions{Window: 3}) {
		last = err
		require.ErrorIs(t, err, context.Canceled)
		n++
	}
	require.LessOrEqual(t, n, 4)
	require.ErrorContains(t, last, "and no more")
}

// TestMapWindowCountsResults: those that wait for their turn take room, too.
func TestMapWindowCountsResults(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	others := make(chan struct{}, 100)
	s.register("first", func(_ context.Context, in, out []byte) (int, error) {
		if string(in) == "0" { // the last to be done
			for range 4 {
				<-others
			}
		}
		others <- struct{}{}
		return copy(out, in), nil
	})
	p := s.open(client.Config{Lanes: 2})
	taken, handed := 0, 0
	inputs := func(yield func([]byte) bool) {
		for in := range numbers(20) {
			if taken++; taken > handed+5 {
				t.Errorf("%d inputs taken, %d results handed out", taken, handed)
			}
			if !yield(in) {
				return
			}
		}
	}
	for _, err := range client.Map(soon(t), p, "first", inputs, client.MapOptions{Window: 5}) {
		require.NoError(t, err)
		handed++
	}
	require.Equal(t, 20, handed)
}

// TestMapLeft: when the loop is left, the calls under way are over.
func TestMapLeft(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	entered, _ := s.gate("gate")
	p := s.open(client.Config{})
	inputs := func(yield func([]byte, error) bool) {
		for in := range numbers(20) {
			if !yield(in, nil) {
				return
			}
		}
		receive(t, entered)
		yield(nil, errors.New("the only result"))
	}
	for r, err := range client.MapErr(soon(t), p, "gate", inputs, client.MapOptions{Unordered: true}) {
		require.Equal(t, 20, r.Index)
		require.Error(t, err)
		require.Equal(t, 19, p.Stats().Waiting)
		break
	}
	require.Zero(t, p.Stats().Waiting)
}

// TestMapTimeout: each call has its own time.
func TestMapTimeout(t *testing.T) {
	modes(t, func(t *testing.T, mode invoke.Mode) {
		s := newSite(t, "loopback:")
		s.gate("gate")
		p := s.open(client.Config{Lanes: 2, Mode: mode})
		n := 0
		for _, err := range client.Map(soon(t), p, "gate", numbers(5), client.MapOptions{Timeout: 5e6}) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			n++
		}
		require.Equal(t, 5, n)
		_, err := p.Call(soon(t), "echo", nil, nil)
		require.NoError(t, err)
	})
}
