package loopback

// ring is a queue, first in first out, of bounded length. Whoever uses it
// counts; pushing into a full one panics.
type ring[T any] struct {
	items []T
	head  int
	count int
}

func newRing[T any](depth uint32) ring[T] { return ring[T]{items: make([]T, depth)} }

func (r *ring[T]) empty() bool { return r.count == 0 }

// push adds an item, to be filled in by the caller. It still has the contents
// of the one that used the place before.
func (r *ring[T]) push() *T {
	if r.count == len(r.items) {
		panic("loopback: ring overflow")
	}
	at := r.head + r.count
	if at >= len(r.items) {
		at -= len(r.items)
	}
	r.count++
	return &r.items[at]
}

// first is the oldest item.
func (r *ring[T]) first() *T { return &r.items[r.head] }

// drop removes the oldest item.
func (r *ring[T]) drop() {
	r.head++
	if r.head == len(r.items) {
		r.head = 0
	}
	r.count--
}
