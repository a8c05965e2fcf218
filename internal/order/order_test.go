package order_test

import (
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/rfaas-go/rfaas/internal/order"
)

// What was written before Publish is seen by whoever sees the published value.
func TestPublishOrdersEarlierWrites(t *testing.T) {
	var data [8]atomic.Uint64 // atomic, so that the race detector has nothing to say
	var flag, taken atomic.Uint32
	const rounds = 200_000
	go func() {
		for i := uint32(1); i <= rounds; i++ {
			for taken.Load() != i-1 {
				runtime.Gosched()
			}
			for k := range data {
				data[k].Store(uint64(i))
			}
			order.Publish(&flag, i)
		}
	}()
	for i := uint32(1); i <= rounds; i++ {
		for flag.Load() != i {
			runtime.Gosched()
		}
		for k := range data {
			if got := data[k].Load(); got != uint64(i) {
				t.Fatalf("round %d: word %d is %d", i, k, got)
			}
		}
		order.Publish(&taken, i)
	}
}
