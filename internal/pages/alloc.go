//go:build !race

package pages

// Note says what Alloc does, in words for Capabilities.Notes.
const Note = MapNote

// Alloc is Map. With the race detector it takes memory from the heap.
func Alloc(size int) (mem []byte, free func() error, err error) { return Map(size) }
