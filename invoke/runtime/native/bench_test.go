//go:build cgo && linux && (amd64 || arm64)

package native_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime/native"
)

// A call allocates nothing.
func TestAllocs(t *testing.T) { // AllocsPerRun cannot run in parallel tests
	echo := function(t, open(t, build(t, "functions.c"), native.Config{}), "echo")
	in, out := mapped(t, 64), mapped(t, 64)
	ctx := t.Context()
	var failure error
	allocs := testing.AllocsPerRun(1000, func() {
		if n, err := echo(ctx, in, out); n != 64 || err != nil {
			failure = fmt.Errorf("%d bytes, %w", n, err)
		}
	})
	require.NoError(t, failure)
	require.Zero(t, allocs)
}

// BenchmarkCall is a call, and one of a Go function that does the same.
func BenchmarkCall(b *testing.B) {
	path := build(b, "functions.c", "-O2")
	m, direct := open(b, path, native.Config{}), open(b, path, native.Config{DirectBytes: 1})
	for _, c := range []struct {
		name string
		call invoke.Function
	}{
		{"noop/go", func(context.Context, []byte, []byte) (int, error) { return 0, nil }},
		{"noop/native", function(b, m, "noop")},
		{"echo/go", func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil }},
		{"echo/native", function(b, m, "echo")},
		{"echo/native, direct", function(b, direct, "echo")},
	} {
		for _, size := range []int{64, 64 << 10, 1 << 20} {
			in, out := mapped(b, size), mapped(b, size)
			if c.name[:4] == "noop" && size != 64 {
				continue
			}
			b.Run(fmt.Sprintf("%s/%d", c.name, size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.call(b.Context(), in, out); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
