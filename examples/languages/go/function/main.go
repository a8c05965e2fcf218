// Command function is the function upper as a shared object.
package main

// #include <stdint.h>
import "C"

import (
	"bytes"
	"unsafe"
)

//export upper
func upper(args unsafe.Pointer, size C.uint32_t, res unsafe.Pointer) C.uint32_t {
	in, out := unsafe.Slice((*byte)(args), size), unsafe.Slice((*byte)(res), size)
	return C.uint32_t(copy(out, bytes.ToUpper(in)))
}

func main() {} // is not called
