package remote_test

import (
	"fmt"
	"testing"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/remote"
)

// BenchmarkRead is a Read by one goroutine, BenchmarkReads are those of many.
func BenchmarkRead(b *testing.B) {
	for _, url := range urls {
		for _, n := range []int{8, 4096, 1 << 20} {
			b.Run(fmt.Sprintf("%s%d", url, n), func(b *testing.B) {
				m, o := reach(b, url, n, remote.Config{Spin: transport.Hot})
				ctx, buf := soon(b), make([]byte, n)
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					if err := m.Read(ctx, buf, o.all()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkReads(b *testing.B) {
	for _, url := range urls {
		b.Run(url, func(b *testing.B) {
			m, o := reach(b, url, 4096, remote.Config{})
			ctx := soon(b)
			b.SetParallelism(16)
			b.SetBytes(4096)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				buf := make([]byte, 4096)
				for pb.Next() {
					if err := m.Read(ctx, buf, o.all()); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}
