package executor

import "github.com/rfaas-go/rfaas/invoke/runtime"

// The memory of an executor itself: the Go runtime with its stacks, the program,
// and the compiler, where modules are compiled.
const (
	ownBytes     = 64 << 20
	compileBytes = 256 << 20
)

// Overhead is about how many bytes an executor needs beside its code's memory: for itself,
// for the slots of one client, and for payloads beyond them.
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

// memoryLimit is how many bytes an executor of the assignment may use in all: for itself,
// its slots, payloads beyond them, and the code. If the assignment does not limit the
// code's memory, it is otherwise.
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

// payloadCopies is how many copies of a payload beyond the slots count to an executor: the
// worker's, and, over shared memory, the client's, since the executor writes it first. The
// native runtime has results in memory of its own before.
func (a *Assignment) payloadCopies() int64 {
	if a.Runtime == runtime.Native {
		return 3
	}
	return 2
}

// limitMemory sets the limit of the assignment, unless the executor was started with it.
func (e *Executor) limitMemory() error {
	limit := e.assignment.memoryLimit(e.memoryBytes)
	if limit == e.memoryBytes {
		return nil
	}
	e.memoryBytes = limit
	return e.confined.SetMemory(limit)
}
