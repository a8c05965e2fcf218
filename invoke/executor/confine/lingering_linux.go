//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Lingering is how many bytes of memory are in use still that processes had which were
// closed: memory that they shared with others, who hold it yet. It counts to the Host's
// group, which is why the processes' own can be removed. Without a control group of memory
// it is not known, and 0. It is a snapshot: while processes start, end and grow it may be
// off by what they do meanwhile.
func (h *Host) Lingering() (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.claims, func(c *claim) bool { return slices.Contains(c.controllers, "memory") })
	if i < 0 {
		return 0, nil
	}
	c := h.claims[i]
	lingering, err := c.shared(c.dir)
	if err != nil {
		return 0, fmt.Errorf("confine: memory that outlives its processes: %w", err)
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return 0, fmt.Errorf("confine: memory that outlives its processes: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		n, err := c.shared(filepath.Join(c.dir, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a process is just being closed
			return 0, fmt.Errorf("confine: memory that outlives its processes: %w", err)
		}
		lingering -= n
	}
	return max(lingering, 0), nil
}

// shared is how much shared memory a group and those below it have, those that were
// removed, too. What else remains of a process, as pages of files, the kernel takes back
// when it needs memory.
func (c *claim) shared(dir string) (int64, error) {
	key := "total_shmem"
	if c.v2 {
		key = "shmem"
	}
	return readInt(filepath.Join(dir, "memory.stat"), key)
}
