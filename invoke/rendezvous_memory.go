package invoke

import (
	"errors"
	"math/bits"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// memoryPool keeps registered memory of one protection domain for reuse: to
// register memory and to touch its pages for the first time takes longer than to
// copy into it. Memory that is unused for a while is freed. All of it is held, so
// that it can be touched although the device is closed meanwhile. Its
// methods may be called from anywhere.
type memoryPool struct {
	domain *transport.ProtectionDomain
	access transport.Access
	keep   int64   // most unused bytes that are kept
	most   int64   // most bytes at all; 0 for no limit
	budget *budget // shared with other pools; nil if there is none
	idle   time.Duration

	mu     sync.Mutex
	held   int64 // bytes, in use and not
	given  map[*transport.Region]struct{}
	spare  int64 // bytes of free
	free   []spareRegion
	timer  *time.Timer // runs while there is something in free
	closed bool
}

// spareRegion is unused memory.
type spareRegion struct {
	region *transport.Region
	since  time.Time
}

// memoryIdle is how long unused memory is kept.
const memoryIdle = 5 * time.Second

// Reasons why a pool has no memory to give.
var (
	errPoolFull   = errors.New("the memory for one client is in use")
	errBudgetFull = errors.New("the memory for all clients is in use")
)

// pageBytes is what sizes of regions are multiples of.
const pageBytes = 4096

// sizeClass is the size of the region that n bytes are taken from: up to a quarter
// more, so that calls of similar sizes can use the same memory.
func sizeClass(n int) int {
	n = max(n, pageBytes)
	step := max(1<<bits.Len(uint(n-1))>>3, pageBytes)
	return roundUp(n, step)
}

func roundUp(n, step int) int { return (n + step - 1) / step * step }

// take returns a region of at least size bytes. Its content is arbitrary.
func (p *memoryPool) take(size int) (*transport.Region, error) {
	class := sizeClass(size)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, transport.ErrClosed
	}
	if p.most > 0 && int64(class) > p.most {
		class = roundUp(size, pageBytes)
	}
	for i := len(p.free) - 1; i >= 0; i-- { // the last one used first: it is in the caches, if any is
		if r := p.free[i].region; r.Len() == class {
			p.remove(i)
			p.given[r] = struct{}{}
			return r, nil
		}
	}
	for p.most > 0 && p.held+int64(class) > p.most {
		if len(p.free) == 0 {
			return nil, errPoolFull
		}
		p.discard(0)
	}
	if !p.budget.reserve(int64(class)) {
		return nil, errBudgetFull
	}
	r, err := allocHeld(p.domain, class, p.access)
	if err != nil {
		p.budget.release(int64(class))
		return nil, err
	}
	p.held += int64(class)
	p.given[r] = struct{}{}
	return r, nil
}

// allocHeld makes a region and holds it.
func allocHeld(domain *transport.ProtectionDomain, size int, access transport.Access) (*transport.Region, error) {
	r, err := domain.Alloc(size, access)
	if err != nil {
		return nil, err
	}
	if err := r.Hold(); err != nil { // the device has been closed in between
		return nil, err
	}
	return r, nil
}

// put takes a region back.
func (p *memoryPool) put(r *transport.Region) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	delete(p.given, r)
	p.free = append(p.free, spareRegion{r, time.Now()})
	p.spare += int64(r.Len())
	for p.spare > p.keep {
		p.discard(0)
	}
	if len(p.free) > 0 && p.timer == nil {
		p.timer = time.AfterFunc(p.idle, p.expire)
	}
}

// expire frees what was not used for some time.
func (p *memoryPool) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	if p.closed {
		return
	}
	for len(p.free) > 0 && time.Since(p.free[0].since) >= p.idle {
		p.discard(0)
	}
	if len(p.free) > 0 {
		p.timer = time.AfterFunc(p.idle-time.Since(p.free[0].since), p.expire)
	}
}

// trim frees unused memory.
func (p *memoryPool) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.free) > 0 {
		p.discard(0)
	}
}

// remove takes free[i] off the list, which stays in the order of time.
func (p *memoryPool) remove(i int) *transport.Region {
	r := p.free[i].region
	p.spare -= int64(r.Len())
	p.free = append(p.free[:i], p.free[i+1:]...)
	return r
}

// discard frees free[i].
func (p *memoryPool) discard(i int) {
	r := p.remove(i)
	n := int64(r.Len())
	r.Close()
	r.Release()
	p.held -= n
	p.budget.release(n)
}

// close ends the pool, whose memory is not used any more. What it gave away goes
// with the domain, after which releaseBudget says so.
func (p *memoryPool) close() {
	p.trim()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for r := range p.given {
		r.Release()
	}
	p.given = nil
	if p.timer != nil {
		p.timer.Stop()
	}
}

// releaseBudget gives the rest of the budget back, once the domain is closed.
func (p *memoryPool) releaseBudget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.budget.release(p.held)
	p.held = 0
}

// budget bounds the memory of several pools together. A nil budget is without
// bounds.
type budget struct {
	most int64
	used atomic.Int64
}

// reserve sets n bytes aside, if they are there.
func (b *budget) reserve(n int64) bool {
	if b == nil {
		return true
	}
	if b.used.Add(n) > b.most {
		b.used.Add(-n)
		return false
	}
	return true
}

func (b *budget) release(n int64) {
	if b != nil {
		b.used.Add(-n)
	}
}
