package pages

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// MapNote describes Map for Capabilities.Notes.
const MapNote = "regions are anonymous mappings"

// Map makes size > 0 bytes of memory outside the Go heap, in every build. It is
// the caller's until free is called.
func Map(size int) (mem []byte, free func() error, err error) {
	mem, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, nil, fmt.Errorf("mapping %d bytes: %w", size, err)
	}
	return mem, func() error { return unix.Munmap(mem) }, nil
}
