package pages

import "runtime/debug"

// Fault is an access to memory that is unmapped, protected, or of a file that
// was truncated.
type Fault struct{ Address uint64 }

// Guard calls touch, which accesses memory that may be unmapped at any time, and
// returns the fault that ended it, nil if there was none. Without Guard a fault ends
// the process. Writes before the fault remain. Other panics pass. It costs about 10 ns,
// and allocates nothing without a fault. With the race detector, which carries atomics
// out in C, an atomic store to memory that is only readable still ends the process.
func Guard(touch func()) (fault *Fault) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // of this goroutine
	defer func() {
		switch r := recover().(type) {
		case nil:
		case interface{ Addr() uintptr }: // package runtime has it for faults only
			fault = &Fault{uint64(r.Addr())}
		default:
			panic(r)
		}
	}()
	touch()
	return nil
}

// In reports whether the fault was in mem.
func (f *Fault) In(mem []byte) bool {
	base := Address(mem)
	return f.Address >= base && f.Address-base < uint64(len(mem))
}
