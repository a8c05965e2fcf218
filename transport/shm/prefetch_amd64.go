package shm

// prefetch asks the processor for the cache line at an address. Any address will
// do: a prefetch of what is not mapped does nothing.
//
//go:noescape
func prefetch(addr uint64)
