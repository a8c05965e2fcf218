package main

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// blocks is the registered memory that C has, by where it is.
type blocks struct {
	mu  sync.Mutex
	all map[unsafe.Pointer][]byte
}

//export goAlloc
func goAlloc(handle C.uintptr_t, bytes C.size_t, memory *unsafe.Pointer, why **C.char) C.int {
	c := cgo.Handle(handle).Value().(*cluster)
	if bytes == 0 || bytes > math.MaxInt {
		return fail(invalid("rfaas_alloc: %d bytes", bytes), why)
	}
	block, err := c.memory.Alloc(int(bytes))
	if err != nil {
		return fail(fmt.Errorf("rfaas_alloc: %w", err), why)
	}
	at := unsafe.Pointer(unsafe.SliceData(block))
	c.blocks.mu.Lock()
	defer c.blocks.mu.Unlock()
	if c.blocks.all == nil {
		c.blocks.all = map[unsafe.Pointer][]byte{}
	}
	c.blocks.all[at] = block
	*memory = at
	return C.RFAAS_OK
}

//export goDealloc
func goDealloc(handle C.uintptr_t, memory unsafe.Pointer) {
	c := cgo.Handle(handle).Value().(*cluster)
	c.blocks.mu.Lock()
	block := c.blocks.all[memory]
	delete(c.blocks.all, memory)
	c.blocks.mu.Unlock()
	c.memory.Free(block)
}
