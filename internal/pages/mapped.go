//go:build !race

package pages

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Note says what Alloc does, in words for Capabilities.Notes.
const Note = "regions are anonymous mappings"

// Alloc makes size > 0 bytes of memory. It is the caller's until free is called.
func Alloc(size int) (mem []byte, free func() error, err error) {
	mem, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, fmt.Errorf("mapping %d bytes: %w", size, err)
	}
	return mem, func() error { return unix.Munmap(mem) }, nil
}
