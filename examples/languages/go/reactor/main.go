//go:build wasip1

// Command reactor is the function upper as a WebAssembly function.
package main

import (
	"bytes"
	"unsafe"
)

// areas keeps the host's areas alive.
var areas [][]byte

//go:wasmexport rfaas_alloc
func alloc(size uint32) unsafe.Pointer {
	area := make([]byte, size+16) // Go aligns what is this large
	areas = append(areas, area)
	return unsafe.Pointer(unsafe.SliceData(area))
}

//go:wasmexport upper
func upper(in unsafe.Pointer, inLen uint32, out unsafe.Pointer, outCap uint32) int32 {
	result := bytes.ToUpper(unsafe.Slice((*byte)(in), inLen))
	copy(unsafe.Slice((*byte)(out), outCap), result)
	return int32(len(result))
}

func main() {} // is not called
