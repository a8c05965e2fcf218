package transporttest

import (
	"fmt"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

// wordAt is the 64-bit word of a place.
func (a *agent) wordAt(p place) (*atomic.Uint64, error) {
	r, err := get[*transport.Region](a, p.Region)
	if err != nil {
		return nil, err
	}
	if p.Off%8 != 0 || p.Off+8 > r.Len() {
		return nil, fmt.Errorf("a word at %d in a region of %d bytes", p.Off, r.Len())
	}
	return r.Uint64(p.Off), nil
}

var loadWord = define("load word", func(a *agent, p place) (uint64, error) {
	w, err := a.wordAt(p)
	if err != nil {
		return 0, err
	}
	return w.Load(), nil
})

type storeArgs struct {
	Place place
	Value uint64
}

var storeWord = define("store word", func(a *agent, args storeArgs) (none, error) {
	w, err := a.wordAt(args.Place)
	if err == nil {
		w.Store(args.Value)
	}
	return false, err
})
