package transport

import (
	"fmt"
	"sync"
)

// Region is a piece of registered memory. Its methods may be called from
// anywhere; who may touch the bytes and when, the package comment says.
type Region struct {
	pd     *ProtectionDomain
	mr     MR
	mem    []byte
	base   uint64
	handle uint32 // Span.lkey
	mrKey  uint32 // the provider's name for it
	access Access

	closing sync.Once
}

// Bytes is the region's memory. It must not be used after Close.
func (r *Region) Bytes() []byte { return r.mem }

// Len is the region's size in bytes.
func (r *Region) Len() int { return len(r.mem) }

// Access is what the region grants.
func (r *Region) Access() Access { return r.access }

// Domain is the protection domain of the region.
func (r *Region) Domain() *ProtectionDomain { return r.pd }

// Span names n bytes from off on, for a work request. It panics when that is
// not within the region, as slicing does, or longer than 4 GiB.
func (r *Region) Span(off, n int) Span {
	r.check(off, n)
	return Span{r.base + uint64(off), uint32(n), r.handle}
}

// Remote names n bytes from off on, for a peer to use within the region's
// Access. It panics as Span does.
func (r *Region) Remote(off, n int) RemoteSpan {
	r.check(off, n)
	return RemoteSpan{r.base + uint64(off), uint32(n), r.mr.RKey()}
}

func (r *Region) check(off, n int) {
	if off < 0 || n < 0 || off > len(r.mem)-n || uint64(n) > 1<<32-1 {
		panic(fmt.Sprintf("transport: span [%d:+%d] of a region of %d bytes", off, n, len(r.mem)))
	}
}

// Close revokes the region and frees its memory (that of a Registered one is
// the caller's to free, now). See "The end of a right" in the package comment.
func (r *Region) Close() (err error) {
	r.closing.Do(func() {
		r.pd.regions.Remove(r.handle)
		r.mr.Revoke()
		r.pd.dev.quiesce()
		err = r.mr.Close()
		r.pd.dev.untrack(r)
	})
	return err
}

func (r *Region) describe() string { return fmt.Sprintf("region of %d bytes", len(r.mem)) }
func (r *Region) closeRank() int   { return rankRegion }
