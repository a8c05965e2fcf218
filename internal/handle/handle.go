// Package handle gives objects 32-bit names that can be looked up without a
// lock and are not given out again soon: an index in the low bits, a generation
// above.
package handle

import (
	"errors"
	"sync"
	"sync/atomic"
)

const (
	indexBits = 20
	indexMask = 1<<indexBits - 1
	// Max is how many objects a table holds at most.
	Max = indexMask / 2
)

// ErrFull is returned by Add when the table holds Max objects.
var ErrFull = errors.New("handle table is full")

// Table names objects of type T. The zero Table is empty. Get may be called at
// any time; it sees an object from when Add returned until Remove did.
type Table[T any] struct {
	mu    sync.Mutex
	slots atomic.Pointer[[]slot[T]] // grown by copying
	free  []uint32                  // unused indexes, the least recently used first
	gen   uint32
}

type slot[T any] struct {
	object atomic.Pointer[T]
	handle atomic.Uint32 // of object
}

// Add names an object. generation goes into the upper bits of the first handle
// of a table, so that handles of different tables differ; later ones count on.
// 0 is never a handle.
func (t *Table[T]) Add(object *T, generation uint32) (uint32, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.free) == 0 {
		if err := t.grow(generation); err != nil {
			return 0, err
		}
	}
	index := t.free[0]
	t.free = t.free[1:]
	t.gen++
	h := t.gen<<indexBits | index
	s := &(*t.slots.Load())[index]
	s.handle.Store(h)
	s.object.Store(object)
	return h, nil
}

func (t *Table[T]) grow(generation uint32) error {
	var old []slot[T]
	if p := t.slots.Load(); p != nil {
		old = *p
	} else {
		t.gen = generation
	}
	size := max(2*len(old), 16)
	if len(old) > Max {
		return ErrFull
	}
	grown := make([]slot[T], size)
	for i := range old {
		grown[i].handle.Store(old[i].handle.Load())
		grown[i].object.Store(old[i].object.Load())
	}
	for i := max(len(old), 1); i < size; i++ { // index 0 stays empty, so that 0 is no handle
		t.free = append(t.free, uint32(i))
	}
	t.slots.Store(&grown)
	return nil
}

// Get returns the object of a handle, or nil.
func (t *Table[T]) Get(h uint32) *T {
	p := t.slots.Load()
	index := h & indexMask
	if p == nil || int(index) >= len(*p) {
		return nil
	}
	s := &(*p)[index]
	object := s.object.Load()
	if s.handle.Load() != h {
		return nil
	}
	return object
}

// Remove takes the name of an object back, and reports whether it was there.
func (t *Table[T]) Remove(h uint32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.Get(h) == nil {
		return false
	}
	index := h & indexMask
	s := &(*t.slots.Load())[index]
	s.object.Store(nil)
	s.handle.Store(0)
	t.free = append(t.free, index)
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
