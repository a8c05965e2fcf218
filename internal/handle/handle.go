// Package handle gives objects 32-bit names that can be looked up without a
// lock. A name is reused only after all others.
package handle

import (
	"errors"
	"sync"
	"sync/atomic"
)

// Max is how many objects a table holds at most.
const Max = 1 << 19

// ErrFull is returned by Add when the table holds Max objects.
var ErrFull = errors.New("handle table is full")

// Table names objects of type T. The zero Table is empty. Get may be called at
// any time; it sees an object from when Add returned until Remove did.
//
// Handles count through all 32 bits. An object's slot is its handle modulo the
// number of slots; a handle whose slot is taken is passed over. Of the slots at most
// half are taken, so that few are.
type Table[T any] struct {
	mu    sync.Mutex
	slots atomic.Pointer[[]slot[T]] // a power of two of them; grown by copying
	last  uint32                    // handle given out
	count int
}

type slot[T any] struct {
	object atomic.Pointer[T]
	handle atomic.Uint32 // of object; 0 for none
}

const leastSlots = 16

// Add names an object. The first handle of a table comes soon after first, so that
// handles of different tables differ. 0 is never a handle.
func (t *Table[T]) Add(object *T, first uint32) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.count == Max {
		return 0, ErrFull
	}
	p := t.slots.Load()
	switch {
	case p == nil:
		t.last = first
		p = t.grow(leastSlots)
	case 2*t.count == len(*p):
		p = t.grow(2 * len(*p))
	}
	for {
		t.last++
		s := slotOf(*p, t.last)
		if t.last == 0 || s.handle.Load() != 0 {
			continue
		}
		t.count++
		s.object.Store(object) // first, so that Get finds the object with the handle
		s.handle.Store(t.last)
		return t.last, nil
	}
}

func slotOf[T any](slots []slot[T], handle uint32) *slot[T] {
	return &slots[handle&uint32(len(slots)-1)]
}

// grow replaces the slots by size ones, a multiple of the former number: objects in
// different slots stay in different slots.
func (t *Table[T]) grow(size int) *[]slot[T] {
	grown := make([]slot[T], size)
	if old := t.slots.Load(); old != nil {
		for i := range *old {
			from := &(*old)[i]
			if h := from.handle.Load(); h != 0 {
				to := slotOf(grown, h)
				to.object.Store(from.object.Load())
				to.handle.Store(h)
			}
		}
	}
	t.slots.Store(&grown)
	return &grown
}

// Get returns the object of a handle, or nil.
func (t *Table[T]) Get(h uint32) *T {
	p := t.slots.Load()
	if p == nil || h == 0 {
		return nil
	}
	s := slotOf(*p, h)
	object := s.object.Load()
	if s.handle.Load() != h {
		return nil
	}
	return object
}

// Remove removes an object, and reports whether it was there.
func (t *Table[T]) Remove(h uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Get(h) == nil {
		return false
	}
	s := slotOf(*t.slots.Load(), h)
	s.handle.Store(0)
	s.object.Store(nil)
	t.count--
	return true
}

// All returns the objects that have names.
func (t *Table[T]) All() []*T {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*T
	if p := t.slots.Load(); p != nil {
		for i := range *p {
			if object := (*p)[i].object.Load(); object != nil {
				all = append(all, object)
			}
		}
	}
	return all
}
