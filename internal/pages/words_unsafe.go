package pages

import (
	"sync/atomic"
	"unsafe"
)

// Address is the virtual address of the first byte.
func Address(mem []byte) uint64 { return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) }

// Word is the word at the beginning of mem, nil when mem is shorter than a word
// or not aligned to one.
func Word(mem []byte) *atomic.Uint64 {
	if len(mem) < 8 || Address(mem)%8 != 0 {
		return nil
	}
	return (*atomic.Uint64)(unsafe.Pointer(unsafe.SliceData(mem)))
}
