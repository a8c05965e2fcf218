package transport

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

func addressOf(mem []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) }

// Uint64 is the 8-byte word at off, for atomic use by the program itself; with
// FeatureAtomicsCoherent also against remote atomics. It panics when off is not
// a multiple of 8 or the word is not within the region. Not after Close.
func (r *Region) Uint64(off int) *atomic.Uint64 {
	r.check(off, 8)
	if off%8 != 0 {
		panic(fmt.Sprintf("transport: word at %d is not 8-byte aligned", off))
	}
	return (*atomic.Uint64)(unsafe.Pointer(&r.mem[off]))
}
