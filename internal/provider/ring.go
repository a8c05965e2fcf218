package provider

import "math/bits"

// Ring is an array indexed by sequence numbers, which may wrap around. The caller
// keeps no more than depth consecutive numbers in use.
type Ring[T any] struct {
	items []T
	mask  uint32
}

// NewRing makes a ring with room for depth items.
func NewRing[T any](depth uint32) Ring[T] {
	size := uint32(1) << bits.Len32(max(depth, 1)-1)
	return Ring[T]{items: make([]T, size), mask: size - 1}
}

// At is the entry of a sequence number. Until it is written, it has the contents of
// an earlier number.
func (r *Ring[T]) At(seq uint32) *T { return &r.items[seq&r.mask] }

// Len is the number of entries, a power of two.
func (r *Ring[T]) Len() uint32 { return r.mask + 1 }
