package loopback

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// domain is a protection domain. Its lock is held for reading while requests
// run that may touch its regions, and for writing while a region comes or goes:
// a region that was revoked is not touched any more.
type domain struct {
	*provider.Domain
	mu  sync.RWMutex
	seq uint64 // in which order domains are locked
}

var lastDomain atomic.Uint64

func (a *adapter) NewPD() (transport.PD, error) {
	d := &domain{seq: lastDomain.Add(1)}
	d.Domain = provider.NewDomain(&d.mu, &a.open)
	return d, nil
}

func (d *domain) Alloc(size int, access transport.Access) (transport.MR, error) {
	mem, free, err := pages.Alloc(size)
	if err != nil {
		return nil, fmt.Errorf("loopback: %w", err)
	}
	return d.Add(mem, access, free)
}

// segments is the memory of a request: up to two pieces, either may be empty.
type segments [2][]byte

// local finds the memory that a request names on its own side. ok is false when
// a region of it is closed. The domain is locked.
func (d *domain) local(wr *transport.WorkRequest) (s segments, ok bool) {
	for i, span := range [2]transport.Span{wr.Local, wr.SecondSpan()} {
		if span.Len() == 0 {
			continue
		}
		if s[i], ok = d.Local(span); !ok {
			return s, false
		}
	}
	return s, true
}
