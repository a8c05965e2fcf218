package shm

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Contexts that end, one after the other and in between waits under others, end
// the waits that they are for.
func TestBellWaits(t *testing.T) {
	b, err := newBell()
	require.NoError(t, err)
	defer b.close()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		b.ring()
		require.NoError(t, b.wait(ctx))
		time.AfterFunc(time.Millisecond, cancel)
		for err = nil; err == nil; {
			err = b.wait(ctx)
		}
		require.ErrorIs(t, err, context.Canceled)

		b.ring() // another context, without an end: the former one's does not matter
		require.NoError(t, b.wait(context.Background()))
		time.AfterFunc(time.Millisecond, b.ring)
		require.NoError(t, b.wait(context.Background()))
	}
	time.AfterFunc(time.Millisecond, func() { b.close() })
	require.ErrorIs(t, b.wait(context.Background()), os.ErrClosed)
}

func TestBellAllocatesNothing(t *testing.T) {
	b, err := newBell()
	require.NoError(t, err)
	defer b.close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b.ring()
		if err := b.wait(ctx); err != nil {
			t.Fatal(err)
		}
	}))
}
