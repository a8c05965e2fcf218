//go:build !race

package loopback

import (
	"fmt"

	"golang.org/x/sys/unix"
)

const memoryNote = "regions are anonymous mappings"

// allocate maps zeroed memory outside the Go heap.
func allocate(size int) (mem []byte, free func() error, err error) {
	mem, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, fmt.Errorf("mmap: %w", err)
	}
	return mem, func() error { return unix.Munmap(mem) }, nil
}
