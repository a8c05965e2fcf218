package shm_test

import (
	"testing"

	"github.com/rfaas-go/rfaas/transport"
)

// What the software on the way costs, without the way: both ends on one
// processor.
func BenchmarkCost(b *testing.B) {
	b.Run("poll-empty", func(b *testing.B) {
		x, _ := pair(b)
		var c [4]transport.Completion
		for b.Loop() {
			x.queue.Poll(c[:])
		}
	})
	b.Run("write-64", func(b *testing.B) {
		x, y := pair(b)
		var c [4]transport.Completion
		local, remote := x.region.Span(0, 64), y.region.Remote(0, 64)
		for i := 0; b.Loop(); i++ {
			x.conn.Post(transport.Write(0, local, remote))
			if i%16 == 0 {
				x.queue.Poll(c[:])
			}
		}
	})
	b.Run("write-imm-64-and-receive", func(b *testing.B) {
		x, y := pair(b)
		var c [4]transport.Completion
		local, remote := x.region.Span(0, 64), y.region.Remote(0, 64)
		for i := 0; b.Loop(); i++ {
			y.conn.PostRecv(transport.Recv(0, transport.Span{}))
			x.conn.Post(transport.WriteImm(0, local, remote, 1).With(transport.Signaled))
			y.queue.Poll(c[:])
			if i%16 == 15 {
				y.queue.Poll(c[:])
				x.queue.Poll(c[:])
				x.queue.Poll(c[:])
				x.queue.Poll(c[:])
				x.queue.Poll(c[:])
			}
		}
	})
}
