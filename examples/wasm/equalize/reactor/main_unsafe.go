//go:build wasip1

// Command reactor is the function equalize as a WebAssembly module, made with Go's
// own compiler:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o equalize.wasm ./examples/wasm/equalize/reactor
package main

import (
	"unsafe"

	"github.com/rfaas-go/rfaas/examples/wasm/equalize"
)

// areas keeps the host's areas alive.
var areas [][]byte

//go:wasmexport rfaas_alloc
func alloc(size uint32) unsafe.Pointer {
	area := make([]byte, size+16) // Go aligns what is this large
	areas = append(areas, area)
	return unsafe.Pointer(unsafe.SliceData(area))
}

//go:wasmexport equalize
func function(in unsafe.Pointer, inLen uint32, out unsafe.Pointer, outCap uint32) int32 {
	n, err := equalize.Equalize(unsafe.Slice((*byte)(in), inLen), unsafe.Slice((*byte)(out), outCap))
	if err != nil {
		return ^int32(copy(unsafe.Slice((*byte)(out), 1024), err.Error()))
	}
	return int32(n)
}

func main() {} // is not called
