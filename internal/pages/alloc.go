//go:build !race

package pages

// Note describes Alloc for Capabilities.Notes.
const Note = MapNote

// Alloc is Map. With the race detector it takes memory from the heap.
func Alloc(size int) (mem []byte, free func() error, err error) { return Map(size) }
