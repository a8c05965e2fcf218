package client_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// BenchmarkCall is what the hand-over costs: a call through a client, and one
// straight through a client.
func BenchmarkCall(b *testing.B) {
	for _, mode := range []invoke.Mode{invoke.Hot, invoke.DefaultMode, invoke.Warm} {
		in, out := make([]byte, 64), make([]byte, 64)
		b.Run("direct/"+mode.String(), func(b *testing.B) {
			s := newSite(b, "shm:")
			s.config.Mode, s.client.Mode = mode, mode
			w, err := s.dial(context.Background(), 0)
			require.NoError(b, err)
			f, err := w.Client.Function(context.Background(), "echo")
			require.NoError(b, err)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Client.Call(context.Background(), f, in, out); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, w.Client.Close())
			require.NoError(b, w.Close())
		})
		b.Run("client/"+mode.String(), func(b *testing.B) {
			s := newSite(b, "shm:")
			s.config.Mode = mode
			p := s.open(client.Config{Mode: mode})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Call(context.Background(), "echo", in, out); err != nil {
					b.Fatal(err)
				}
			}
			require.NoError(b, p.Close())
		})
	}
}

// BenchmarkWorkers is how the throughput of a function of 20 us grows with the
// workers. Each needs a processor, and so does each lane that polls.
func BenchmarkWorkers(b *testing.B) {
	for _, mode := range []invoke.Mode{invoke.DefaultMode, invoke.Warm} {
		for lanes := 1; lanes <= 2; lanes++ {
			b.Run(fmt.Sprintf("%v/%d", mode, lanes), func(b *testing.B) {
				s := newSite(b, "shm:")
				s.config.Mode = mode
				s.register("20us", func(context.Context, []byte, []byte) (int, error) {
					for begin := time.Now(); time.Since(begin) < 20*time.Microsecond; {
					}
					return 0, nil
				})
				p := s.open(client.Config{Lanes: lanes, Mode: mode, Depth: 16})
				for _, err := range client.Map(context.Background(), p, "20us", numbers(100), client.MapOptions{}) {
					require.NoError(b, err)
				}
				b.ResetTimer()
				for _, err := range client.Map(context.Background(), p, "20us", numbers(b.N), client.MapOptions{Unordered: true}) {
					if err != nil {
						b.Fatal(err)
					}
				}
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
				require.NoError(b, p.Close())
			})
		}
	}
}
