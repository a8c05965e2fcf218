package wasm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
	"github.com/rfaas-go/rfaas/invoke"
)

// linearMemory is the memory of an instance. It reserves addresses for the largest size, makes
// the current size accessible, and grows in place. (wazero's own memory is a slice that is
// copied to grow: old and new then count to the limit of the process, until the garbage
// collector frees the old one.) Untouched pages take no memory.
type linearMemory struct {
	mem    []byte // nil when freed
	usable uint64
}

// newMemory reserves the memory of an instance of the module.
func (m *Module) newMemory() (*linearMemory, error) {
	most := m.config.MemoryBytes &^ (pageBytes - 1)
	memory := m.compiled.ExportedMemories()[wasmfile.MemoryExport]
	if own, ok := memory.Max(); ok {
		most = min(most, uint64(own)*pageBytes)
	}
	least := uint64(memory.Min()) * pageBytes
	mem, err := unix.Mmap(-1, 0, int(max(most, pageBytes)), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("addresses for a memory of %d bytes: %w: %w", most, err, invoke.ErrBusy)
	}
	l := &linearMemory{mem: mem}
	if err := l.allow(least); err != nil {
		l.Free()
		return nil, fmt.Errorf("a memory of %d bytes: %w: %w", least, err, invoke.ErrBusy)
	}
	return l, nil
}

// allow makes the first size bytes accessible.
func (l *linearMemory) allow(size uint64) error {
	if size <= l.usable {
		return nil
	}
	err := unix.Mprotect(l.mem[l.usable:size], unix.PROT_READ|unix.PROT_WRITE)
	if err == nil {
		l.usable = size
	}
	return err
}

// Reallocate implements experimental.LinearMemory.
func (l *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(l.mem)) || l.allow(size) != nil {
		return nil // memory.grow returns -1
	}
	return l.mem[:size:size]
}

// Free implements experimental.LinearMemory. Further calls do nothing.
func (l *linearMemory) Free() {
	if l.mem != nil {
		unix.Munmap(l.mem)
		l.mem = nil
	}
}

// using makes wazero use this memory for the instance that it makes.
func (l *linearMemory) using(ctx context.Context) context.Context {
	return experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return l }))
}
