package provider

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// Which completions wake a sleeper.
func TestNotify(t *testing.T) {
	t.Parallel()
	const silent, solicited, failed = 0, 1, 2
	for _, c := range []struct {
		name          string
		armed         bool
		solicitedOnly bool
		completion    int
		wakes         bool
	}{
		{"not armed", false, false, failed, false},
		{"any", true, false, silent, true},
		{"any, solicited", true, false, solicited, true},
		{"solicited only", true, true, solicited, true},
		{"solicited only, failed", true, true, failed, true},
		{"solicited only, other", true, true, silent, false},
	} {
		q, push, _ := pushed(1)
		if c.armed {
			_, err := q.Arm(c.solicitedOnly)
			require.NoError(t, err)
		}
		status := transport.StatusOK
		if c.completion == failed {
			status = transport.StatusFlushed
		}
		push(1, status, c.completion == solicited)
		require.Equal(t, c.wakes, len(q.woken) == 1, c.name)
		if c.wakes {
			require.Equal(t, NotArmed, q.Armed(), "%s: it is woken once", c.name)
		}
		q.Disarm()
		require.Equal(t, NotArmed, q.Armed())
	}
}

// Contexts that end, one after the other and in between waits under others, end
// the waits that they are for.
func TestWait(t *testing.T) {
	t.Parallel()
	s := NewSleeper()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		s.Wake()
		require.NoError(t, s.Wait(ctx))
		time.AfterFunc(time.Millisecond, cancel)
		require.ErrorIs(t, s.Wait(ctx), context.Canceled)

		s.Wake() // another context, without an end: the former one's does not matter
		require.NoError(t, s.Wait(context.Background()))
		time.AfterFunc(time.Millisecond, s.Wake)
		require.NoError(t, s.Wait(context.Background()))
	}
	time.AfterFunc(time.Millisecond, s.End)
	require.ErrorIs(t, s.Wait(context.Background()), transport.ErrClosed)
}

func TestWaitAllocatesNothing(t *testing.T) {
	s := NewSleeper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		s.Wake()
		if err := s.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}))
}
