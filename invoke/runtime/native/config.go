package native

import (
	"fmt"
	"math"
	"sync/atomic"
)

// Config configures a module. The zero value means the defaults.
type Config struct {
	// StackBytes is the stack of a call; 0 means 8 MiB. It takes memory only as far as it
	// was ever used.
	StackBytes int
	// ResultBytes is the largest result that a function can write without a crash; 0 means
	// 1 MiB. A call whose output is larger has room for that. It takes memory only as far
	// as it was ever used.
	ResultBytes int
	// DirectBytes is the length from which on a function gets the output itself, without a
	// copy of the result and without a guard: a function that writes past the end
	// overwrites other memory. 0 means never.
	DirectBytes int
	// Global lets libraries that are loaded later use the symbols of the object and of the
	// libraries that it needs, as if it were a program: an embedded Python's extensions and
	// other plug-ins need that. It is for a process with one module.
	Global bool
	// Overrun, if set, gets the length of the call's output when a function writes past the
	// memory for its result, which ends the process. It must lie outside the Go heap, and
	// outlive the module.
	Overrun *atomic.Uint64
	// Overflow, if set, gets StackBytes when a function needs more stack than that, which
	// ends the process. It is like Overrun.
	Overflow *atomic.Uint64
}

const (
	defaultStackBytes  = 8 << 20
	minStackBytes      = 16 << 10
	maxStackBytes      = 1 << 40
	defaultResultBytes = 1 << 20
	maxResultBytes     = 1<<32 - 1 // what a function can return
)

// withDefaults sets the defaults and checks the rest.
func (c Config) withDefaults() (Config, error) {
	if c.StackBytes == 0 {
		c.StackBytes = defaultStackBytes
	}
	if c.ResultBytes == 0 {
		c.ResultBytes = defaultResultBytes
	}
	if c.DirectBytes == 0 {
		c.DirectBytes = math.MaxInt
	}
	switch {
	case c.StackBytes < minStackBytes || c.StackBytes > maxStackBytes:
		return c, fmt.Errorf("native: a stack of %d bytes; %d to %d are possible", c.StackBytes, minStackBytes, maxStackBytes)
	case c.ResultBytes < 1 || c.ResultBytes > maxResultBytes:
		return c, fmt.Errorf("native: results of up to %d bytes; 1 to %d are possible", c.ResultBytes, maxResultBytes)
	case c.DirectBytes < 0:
		return c, fmt.Errorf("native: outputs are passed directly from %d bytes on; 0 means never", c.DirectBytes)
	}
	return c, nil
}
