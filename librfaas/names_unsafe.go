package main

// #include "shim.h"
import "C"

import (
	"maps"
	"sync/atomic"
	"unsafe"
)

// names are those of functions that were called, as Go's strings.
type names struct {
	all *atomic.Pointer[map[string]string]
}

func newNames() names {
	n := names{new(atomic.Pointer[map[string]string])}
	n.all.Store(&map[string]string{})
	return n
}

// of is a name in Go's memory.
func (n names) of(name *C.char) string {
	length := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(name), length)) != 0 {
		length++
	}
	all := n.all.Load()
	if known, ok := (*all)[unsafe.String((*byte)(unsafe.Pointer(name)), length)]; ok {
		return known
	}
	s := C.GoString(name)
	more := maps.Clone(*all)
	more[s] = s
	n.all.CompareAndSwap(all, &more) // else the next call does it
	return s
}
