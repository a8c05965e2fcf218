package transport

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
)

// Region is registered memory. Its methods may be called from anywhere. See the
// package comment for who may access the bytes, and when.
type Region struct {
	pd     *ProtectionDomain
	mr     MR
	mem    []byte
	base   uint64
	handle uint32 // Span.lkey
	mrKey  uint32 // the provider's name for it
	access Access
	of     *Region // whose memory it is, held, if it is shared

	sharing sync.Mutex
	shares  map[*Region]struct{} // of its memory
	ending  bool                 // there will be no more

	closing sync.Once
	holds   atomic.Uint64 // two for each Hold, and closedRegion
}

const (
	closedRegion = 1 << iota
	oneHold
)

// Bytes is the region's memory. It must not be used after Close.
func (r *Region) Bytes() []byte { return r.mem }

// Len is the region's size in bytes.
func (r *Region) Len() int { return len(r.mem) }

// Access is what the region grants.
func (r *Region) Access() Access { return r.access }

// Domain is the protection domain of the region.
func (r *Region) Domain() *ProtectionDomain { return r.pd }

// Span names n bytes from off on, for a work request. It panics when that is
// not within the region, as slicing does, or has 4 GiB or more.
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

// Hold keeps the region's memory after Close, until Release: for code that uses the
// memory and that Close cannot wait for, such as a running function. Close and
// Device.Close revoke the region and return. Afterwards no peer sees what the
// program writes, nor the program what peers write. Memory of Register is not kept:
// its owner must keep it mapped. Hold fails with ErrClosed after Close.
func (r *Region) Hold() error {
	for {
		n := r.holds.Load()
		if n&closedRegion != 0 {
			return r.pd.dev.opError(fmt.Sprintf("hold %d bytes", len(r.mem)), ScopeRequest, ErrClosed)
		}
		if r.holds.CompareAndSwap(n, n+oneHold) {
			return nil
		}
	}
}

// Release ends one Hold. If the region is closed and it was the last one, the memory
// is gone when Release returns.
func (r *Region) Release() {
	switch n := r.holds.Add(^uint64(oneHold - 1)); {
	case n == closedRegion:
		r.free()
	case n > 1<<63:
		panic("transport: Region.Release without a Hold")
	}
}

// Close revokes the region and frees its memory, now or with the last Release (that
// of a Registered one is the caller's to free, now). See "The end of a right" in the
// package comment.
func (r *Region) Close() (err error) {
	r.closing.Do(func() {
		r.unshare()
		r.pd.regions.Remove(r.handle)
		r.mr.Revoke()
		r.pd.granted.Done()
		r.pd.dev.quiesce()
		if r.holds.Or(closedRegion) == 0 {
			err = r.free()
		}
	})
	return err
}

// unshare closes what was shared of the region, and forgets it if it is such a one.
func (r *Region) unshare() {
	r.sharing.Lock()
	r.ending = true
	shares := slices.Collect(maps.Keys(r.shares))
	r.sharing.Unlock()
	for _, s := range shares {
		s.Close()
	}
	if r.of != nil {
		r.of.sharing.Lock()
		delete(r.of.shares, r)
		r.of.sharing.Unlock()
	}
}

func (r *Region) free() error {
	err := r.mr.Close()
	r.pd.dev.untrack(r)
	if r.of != nil {
		r.of.Release()
	}
	return err
}

func (r *Region) describe() string {
	if n := r.holds.Load(); n&closedRegion != 0 {
		return fmt.Sprintf("region of %d bytes, closed, and held %d times", len(r.mem), n/oneHold)
	}
	return fmt.Sprintf("region of %d bytes", len(r.mem))
}
func (r *Region) closeRank() int { return rankRegion }
