package rc

import (
	"sync/atomic"
	"unsafe"
)

func addressOf(mem []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) }

// wordAt is the word at the beginning of mem, nil when mem is shorter than a
// word or not aligned to one.
func wordAt(mem []byte) *atomic.Uint64 {
	if len(mem) < wordBytes || addressOf(mem)%wordBytes != 0 {
		return nil
	}
	return (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem)))
}
