package executor

import "github.com/rfaas-go/rfaas/invoke/runtime"

// What an executor takes for itself: the Go runtime with its stacks, the program,
// and, where modules are compiled, the compiler.
const (
	ownBytes     = 64 << 20
	compileBytes = 256 << 20
)

// memoryLimit is how much memory an executor of the assignment may take in all: what
// it needs itself and for its slots, and what the assignment allows; otherwise says
// what if that is nothing.
func (a *Assignment) memoryLimit(otherwise int64) int64 {
	if a.MemoryBytes == 0 {
		return otherwise
	}
	limit := a.MemoryBytes + ownBytes
	if a.Runtime == runtime.Wasm {
		limit += compileBytes
	}
	const inAndOut = 2
	return limit + inAndOut*int64(max(a.Clients, 1))*int64(a.Slots)*int64(a.SlotBytes)
}

// limitMemory sets the limit for the assignment, unless the executor was started
// with it.
func (e *Executor) limitMemory() error {
	limit := e.assignment.memoryLimit(e.memoryBytes)
	if limit == e.memoryBytes {
		return nil
	}
	e.memoryBytes = limit
	return e.confined.SetMemory(limit)
}
