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

// Lingering is how many bytes of memory of closed processes are still in use, because others
// share it and still hold it. It counts to the Host's group, so the processes' own groups
// can be removed. Without a memory controller it is not known, and 0. It is a snapshot:
// processes that start, end and grow meanwhile make it inexact.
func (h *Host) Lingering() (int64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.IndexFunc(h.hostGroups, func(c *hostGroup) bool { return slices.Contains(c.controllers, "memory") })
	if i < 0 {
		return 0, nil
	}
	n, err := h.hostGroups[i].lingering()
	if err != nil {
		return 0, fmt.Errorf("confine: memory that outlives its processes: %w", err)
	}
	return n, nil
}

// lingering is the shared memory of the Host's group without that of its processes' groups.
func (c *hostGroup) lingering() (int64, error) {
	lingering, err := c.shared(c.dir)
	if err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		n, err := c.shared(filepath.Join(c.dir, e.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a process was just closed
			return 0, err
		}
		lingering -= n
	}
	return max(lingering, 0), nil
}

// shared is the shared memory of a group and those below it, removed ones included. The rest
// of a process's memory, such as pages of files, the kernel reclaims when it needs memory.
func (c *hostGroup) shared(dir string) (int64, error) {
	key := "total_shmem"
	if c.v2 {
		key = "shmem"
	}
	return readInt(filepath.Join(dir, "memory.stat"), key)
}
