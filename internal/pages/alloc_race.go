//go:build race

package pages

import "os"

// Note describes Alloc for Capabilities.Notes.
const Note = "regions are on the Go heap, where the race detector of this build sees them"

// Alloc makes size > 0 bytes of memory. It is the caller's until free is called.
func Alloc(size int) (mem []byte, free func() error, err error) {
	page := os.Getpagesize()
	whole := make([]byte, size+page)
	start := (page - int(Address(whole)%uint64(page))) % page
	return whole[start:][:size:size], func() error { return nil }, nil
}
