package lease

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// Capacity is what there is of a node, or free of it.
type Capacity struct {
	Cores       int
	MemoryBytes int64
}

// String is the capacity for people.
func (c Capacity) String() string {
	return fmt.Sprintf("%d cores, %d MiB", c.Cores, c.MemoryBytes>>20)
}

// Terms are what a tenant asks for.
type Terms struct {
	Workers     int   // processes that execute calls, one call at a time each
	Cores       int   // of each worker: no other lease has them
	MemoryBytes int64 // of each worker's code; what the platform needs is added
	// Slots, SlotBytes and PayloadBytes are those of each worker: see invoke.WorkerConfig.
	Slots, SlotBytes int
	PayloadBytes     int64
	// Spin is how long a worker polls before it sleeps: see invoke.Mode.
	Spin time.Duration
	// Digest names the package with the code: the SHA-256 of its archive. Zero stands for
	// the functions that come with the agent.
	Digest [sha256.Size]byte
}

// The limits of Terms.
const (
	MaxWorkers   = 1024
	MaxCores     = 1024
	maxSlots     = 1 << 15
	maxSlotBytes = 1 << 30
	maxBytes     = 1 << 48
)

// Check says what is wrong with terms, whatever the node.
func (t *Terms) Check() error {
	for _, c := range []struct {
		what       string
		value      int64
		least, max int64
	}{
		{"workers", int64(t.Workers), 1, MaxWorkers},
		{"cores of a worker", int64(t.Cores), 1, MaxCores},
		{"bytes of memory", t.MemoryBytes, 0, maxBytes},
		{"slots", int64(t.Slots), 1, maxSlots},
		{"bytes of a slot", int64(t.SlotBytes), 1, maxSlotBytes},
		{"bytes of payload", t.PayloadBytes, 0, maxBytes},
		{"polling time", int64(t.Spin), 0, 1<<63 - 1},
	} {
		if c.value < c.least || c.value > c.max {
			return fmt.Errorf("%s: %d, must be from %d to %d", c.what, c.value, c.least, c.max)
		}
	}
	return nil
}
