package executor

import "github.com/rfaas-go/rfaas/invoke/runtime"

// What an executor takes for itself: the Go runtime with its stacks, the program,
// and, where modules are compiled, the compiler.
const (
	ownBytes     = 64 << 20
	compileBytes = 256 << 20
)

// Overhead is about what an executor takes beside its code's memory: for itself, for the
// slots of one client, and for payloads beyond them. For who plans with it.
func Overhead(slots, slotBytes int, payloadBytes int64) int64 {
	a := Assignment{MemoryBytes: 1, Slots: slots, SlotBytes: slotBytes, PayloadBytes: payloadBytes}
	return a.memoryLimit(0)
}

// callBytes is the most that a call may have beyond the slots, as invoke.WorkerConfig
// has it.
func (a *Assignment) callBytes() int64 {
	if a.PayloadBytes == 0 {
		return -1
	}
	return a.PayloadBytes
}

// memoryLimit is how much memory an executor of the assignment may take in all: what
// it needs itself, for its slots and for payloads beyond them, and what the assignment
// allows the code; otherwise says what if that is nothing.
func (a *Assignment) memoryLimit(otherwise int64) int64 {
	if a.MemoryBytes == 0 {
		return otherwise
	}
	limit := a.MemoryBytes + ownBytes
	if a.Runtime == runtime.Wasm {
		limit += compileBytes
	}
	const inAndOut = 2
	limit += inAndOut * int64(max(a.Clients, 1)) * int64(a.Slots) * int64(a.SlotBytes)
	return limit + a.payloadCopies()*a.PayloadBytes
}

// payloadCopies is how many times an executor can have payloads beyond the slots in its
// memory: in the worker's, and in the client's, which counts to the executor where
// memory is shared, as that writes there first. The native runtime has results in
// memory of its own before.
func (a *Assignment) payloadCopies() int64 {
	if a.Runtime == runtime.Native {
		return 3
	}
	return 2
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
