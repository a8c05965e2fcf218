package shm

// prefetch asks the processor for the cache line at an address. Any address will
// do: a prefetch of what is not mapped does nothing.
//
//go:noescape
func prefetch(addr uint64)

// prefetchToWrite is prefetch of a line that will be written, so that another
// processor's copy of it is taken back meanwhile.
//
//go:noescape
func prefetchToWrite(addr uint64)

// demote asks the processor to bring a line that was written to where the other
// processors find it sooner. Those that do not know the instruction (CLDEMOTE) do
// nothing.
//
//go:noescape
func demote(addr uint64)

// pause hints to the processor that this is a spin loop.
func pause()
