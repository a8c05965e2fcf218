package main

import (
	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/local"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

const (
	leastRoom = 64 << 10 // for the result of any function
	usualRoom = 64 << 20 // for the result of code of users
)

// slotBytesUsage is what --slot-bytes says of itself.
const slotBytesUsage = "largest input and result: a `SIZE` such as 512KiB or 1GiB (default: any input; for the result see above)"

// roomHelp is the rule of function.room, for help texts.
const roomHelp = `The room for a result is what --slot-bytes says. Otherwise a FILE has room
for 64 MiB, or as much as the input if that is longer; a WebAssembly module,
whose result lies in its own memory, for no more than a quarter of the memory
that it may have; and each for as much as its package says (rfaas pack
--slot-bytes) if that is more.`

// checkSlotBytes refuses what --slot-bytes cannot be; 0 is what it is if not given.
func checkSlotBytes(asked byteSize) error {
	if most := byteSize(local.MaxBytes); asked < 0 || asked > most {
		return usageError("--slot-bytes %s: must be 1 to %s", asked.String(), most.String())
	}
	return nil
}

// mostInput is how long an input may be.
func mostInput(asked byteSize) int64 {
	if asked > 0 {
		return int64(asked)
	}
	return local.MaxBytes
}

// room is how long the result for an input of up to n bytes may be; asked is what
// --slot-bytes says, 0 if it was not given. Memory that is not used costs nothing.
func (f *function) room(n int64, asked byteSize) int {
	if asked > 0 {
		return int(asked)
	}
	if f.code == nil {
		return int(min(max(f.resultBytes(n), leastRoom), local.MaxBytes))
	}
	limits := &f.code.limits
	own := max(int64(limits.SlotBytes), leastRoom)
	room := max(n, own, usualRoom)
	if f.code.runtime == runtime.Wasm {
		room = max(own, min(room, limits.MemoryBytes/4))
	}
	return int(min(room, local.MaxBytes))
}

// moreRoom is how the user gives a result more room.
func (f *function) moreRoom() string {
	switch {
	case f.bare() && f.code.runtime == runtime.Wasm:
		return "--slot-bytes, and the memory that it takes with --memory"
	case f.code != nil && f.code.runtime == runtime.Wasm:
		return "--slot-bytes, and the package the memory that it takes with rfaas pack --memory"
	}
	return "--slot-bytes"
}
