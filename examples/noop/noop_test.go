package noop_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/noop"
)

func TestFunctionTouchesNothing(t *testing.T) {
	t.Parallel()
	in, out := []byte("input"), []byte("result")

	n, err := noop.Function(context.Background(), in, out)

	require.NoError(t, err)
	require.Zero(t, n)
	require.Equal(t, "input", string(in))
	require.Equal(t, "result", string(out))
}

func TestFunctionNeedsNoBuffers(t *testing.T) {
	t.Parallel()
	n, err := noop.Function(context.Background(), nil, nil)
	require.NoError(t, err)
	require.Zero(t, n)
}

func TestFunctionDoesNotAllocate(t *testing.T) {
	in, out := make([]byte, 64), make([]byte, 64)
	allocs := testing.AllocsPerRun(100, func() {
		_, _ = noop.Function(context.Background(), in, out)
	})
	require.Zero(t, allocs)
}
