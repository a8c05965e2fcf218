//go:build race

package loopback

import "os"

const memoryNote = "regions are on the Go heap, where the race detector of this build sees them"

// allocate makes zeroed, page-aligned memory on the Go heap.
func allocate(size int) (mem []byte, free func() error, err error) {
	page := os.Getpagesize()
	whole := make([]byte, size+page)
	start := (page - int(addressOf(whole)%uint64(page))) % page
	return whole[start:][:size:size], func() error { return nil }, nil
}
