package main

// #include "shim.h"
import "C"

import (
	"sync"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/invoke/pack"
)

// pool is what a struct rfaas_pool stands for.
type pool struct {
	*alloc.Pool
	code  *pack.Package // nil: the agents'
	names names

	mu    sync.Mutex
	calls []started // under way, by rfaas_call.slot
	free  []uint32  // slots
}

// pools are all, by their handles: each call looks its pool up.
var pools table[pool]

// table has objects by handles, which are not used twice.
type table[T any] struct {
	mu  sync.Mutex
	all atomic.Pointer[[]*T]
}

func (t *table[T]) add(x *T) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*T
	if before := t.all.Load(); before != nil {
		all = *before
	}
	all = append(all[:len(all):len(all)], x)
	t.all.Store(&all)
	return len(all) - 1
}

func (t *table[T]) get(handle int) *T { return (*t.all.Load())[handle] }

func (t *table[T]) remove(handle int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := append([]*T(nil), *t.all.Load()...)
	all[handle] = nil
	t.all.Store(&all)
}

//export goRelease
func goRelease(handle C.uintptr_t) {
	p := pools.get(int(handle))
	p.Close()
	if p.code != nil {
		p.code.Close()
	}
	pools.remove(int(handle))
}
