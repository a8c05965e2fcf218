package loopback

import (
	"fmt"
	"sync"

	"github.com/rfaas-go/rfaas/transport"
)

// wire connects two queue pairs: one lock for both ends. Its holder may also
// lock, in this order, the protection domains, a shared receive queue, a
// completion queue.
type wire struct {
	mu   sync.Mutex
	ends []*queuePair // up to two
	// domains are the distinct protection domains of the ends, in the order of
	// locking, which is the same for all wires.
	domains []*domain
}

// attach adds an end, which uses the wire from then on: under the lock, because
// the other end may look at once. It fails when there are two.
func (w *wire) attach(q *queuePair) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.ends) == 2 {
		return fmt.Errorf("%w: the peer is connected to another end", transport.ErrInvalid)
	}
	w.ends = append(w.ends, q)
	q.wire = w
	switch {
	case len(w.domains) == 0 || q.pd.seq > w.domains[0].seq:
		w.domains = append(w.domains, q.pd)
	case q.pd.seq < w.domains[0].seq:
		w.domains = append([]*domain{q.pd}, w.domains...)
	}
	return nil
}

// lock locks the ends for changes and their regions against them.
func (w *wire) lock() {
	w.mu.Lock()
	for _, d := range w.domains {
		d.mu.RLock()
	}
}

// unlock undoes lock, and then reports to the ends that failed meanwhile.
func (w *wire) unlock() {
	var failed [2]*queuePair
	var why [2]error
	for i, q := range w.ends {
		failed[i], why[i], q.failure = q, q.failure, nil
	}
	for _, d := range w.domains {
		d.mu.RUnlock()
	}
	w.mu.Unlock()
	for i, err := range why {
		if err != nil {
			failed[i].cfg.Failed(err)
		}
	}
}

// peer is the other end, nil while there is none. The wire is locked.
func (w *wire) peer(q *queuePair) *queuePair {
	for _, other := range w.ends {
		if other != q {
			return other
		}
	}
	return nil
}
