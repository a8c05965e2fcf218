package provider

import "math/bits"

// Ring is an array that sequence numbers go round in. Whoever uses it counts, and
// keeps no more than depth numbers in use; they may wrap around.
type Ring[T any] struct {
	items []T
	mask  uint32
}

// NewRing makes a ring with room for depth items.
func NewRing[T any](depth uint32) Ring[T] {
	size := uint32(1) << bits.Len32(max(depth, 1)-1)
	return Ring[T]{items: make([]T, size), mask: size - 1}
}

// At is the place of a sequence number. It has the contents of the number that used
// it before until it is written.
func (r *Ring[T]) At(seq uint32) *T { return &r.items[seq&r.mask] }

// Len is the number of places, a power of two.
func (r *Ring[T]) Len() uint32 { return r.mask + 1 }
