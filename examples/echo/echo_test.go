package echo_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/echo"
)

func TestFunctionReturnsItsInput(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 63, 64, 65, 4096, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			in := make([]byte, size)
			for i := range in {
				in[i] = byte(i * 7)
			}
			sent := bytes.Clone(in)
			out := bytes.Repeat([]byte{0xEE}, size+3)

			n, err := echo.Function(context.Background(), in, out)

			require.NoError(t, err)
			require.Equal(t, size, n)
			require.Equal(t, sent, out[:n], "the result differs from the input")
			require.Equal(t, sent, in, "the input was changed")
			require.Equal(t, []byte{0xEE, 0xEE, 0xEE}, out[n:], "bytes behind the result were written")
		})
	}
}

func TestFunctionFillsTheBufferExactly(t *testing.T) {
	t.Parallel()
	out := make([]byte, 5)

	n, err := echo.Function(context.Background(), []byte("exact"), out)

	require.NoError(t, err)
	require.Equal(t, "exact", string(out[:n]))
}

func TestFunctionRefusesAShortBuffer(t *testing.T) {
	t.Parallel()
	out := []byte{0xEE, 0xEE}

	n, err := echo.Function(context.Background(), []byte("abc"), out)

	require.ErrorIs(t, err, io.ErrShortBuffer)
	require.ErrorContains(t, err, "3 bytes")
	require.ErrorContains(t, err, "holds 2")
	require.Zero(t, n)
	require.Equal(t, []byte{0xEE, 0xEE}, out, "a refused invocation wrote to its result")
}

func TestFunctionDoesNotAllocate(t *testing.T) {
	in, out := make([]byte, 64), make([]byte, 64)
	allocs := testing.AllocsPerRun(100, func() {
		_, _ = echo.Function(context.Background(), in, out)
	})
	require.Zero(t, allocs)
}
