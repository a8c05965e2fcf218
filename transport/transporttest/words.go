package transporttest

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// wordAt is the 64-bit word of a place.
func (a *agent) wordAt(p place) *atomic.Uint64 {
	return get[*transport.Region](a, p.Region).Uint64(p.Off)
}

var loadWord = define("load word", func(a *agent, p place) (uint64, error) { return a.wordAt(p).Load(), nil })

type storeArgs struct {
	Place place
	Value uint64
}

var storeWord = action("store word", func(a *agent, args storeArgs) {
	a.wordAt(args.Place).Store(args.Value)
})
