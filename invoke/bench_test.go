package invoke_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

func BenchmarkCall(b *testing.B) {
	for _, url := range []string{"loopback:", "shm:"} {
		for _, size := range []int{64, 4096} {
			b.Run(fmt.Sprintf("%s%d", url, size), func(b *testing.B) {
				w := serve(b, url, invoke.WorkerConfig{Mode: invoke.Hot})
				c := w.dial(b, invoke.ClientConfig{Mode: invoke.Hot})
				f := find(b, c, "noop")
				in, out := make([]byte, size), make([]byte, size)
				ctx := context.Background()
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Call(ctx, f, in, out); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkPipelined(b *testing.B) {
	for _, url := range []string{"loopback:", "shm:"} {
		b.Run(url, func(b *testing.B) {
			const depth = 16
			w := serve(b, url, invoke.WorkerConfig{Mode: invoke.Hot})
			c := w.dial(b, invoke.ClientConfig{Mode: invoke.Hot, Slots: depth})
			f := find(b, c, "noop")
			in, out := make([]byte, 64), make([]byte, 64)
			ctx := context.Background()
			var futures [depth]invoke.Future
			var err error
			for i := range futures {
				futures[i], err = c.Go(ctx, f, in)
				require.NoError(b, err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := futures[i%depth].Wait(ctx, out); err != nil {
					b.Fatal(err)
				}
				if futures[i%depth], err = c.Go(ctx, f, in); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLargeCall is with slices, which costs a copy at the client, and with a
// Buffer, which does not.
func BenchmarkLargeCall(b *testing.B) {
	for _, size := range []int{1 << 20, 64 << 20} {
		w := serve(b, "shm:", invoke.WorkerConfig{Mode: invoke.Hot})
		c := w.dial(b, invoke.ClientConfig{Mode: invoke.Hot})
		f := find(b, c, "noop")
		ctx := context.Background()
		b.Run(fmt.Sprintf("slices/%d", size), func(b *testing.B) {
			in := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := c.Call(ctx, f, in, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("buffer/%d", size), func(b *testing.B) {
			buffer, err := c.NewBuffer(size, 0)
			require.NoError(b, err)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := buffer.Call(ctx, f, size); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, buffer.Close())
		})
	}
}
