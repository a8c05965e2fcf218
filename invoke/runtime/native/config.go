package native

import (
	"fmt"
	"math"
	"sync/atomic"
)

// Config is how the functions of a module run. The zero value means the defaults.
type Config struct {
	// StackBytes is the stack of a call; 0 means 8 MiB. It takes memory as far as
	// it was used once.
	StackBytes int
	// ResultBytes is how long results can get before writing them is a crash; 0 means
	// 1 MiB. More is allowed to a call whose output has room for more. It takes
	// memory as far as it was used once.
	ResultBytes int
	// DirectBytes is the length from which on outputs are handed to functions
	// themselves, without a copy of the result and without a guard: what a function
	// writes behind the end of such an output is destroyed. 0 means never.
	DirectBytes int
	// Overrun, if set, is told when the process is about to end because a function
	// went past the memory for its result: how long the output of its call was. It
	// must lie outside the Go heap, and outlive the module.
	Overrun *atomic.Uint64
}

const (
	defaultStackBytes  = 8 << 20
	minStackBytes      = 16 << 10
	maxStackBytes      = 1 << 40
	defaultResultBytes = 1 << 20
	maxResultBytes     = 1<<32 - 1 // what a function can return
)

// withDefaults fills in what was not chosen and checks the rest.
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
		return c, fmt.Errorf("native: outputs are handed over from %d bytes on; 0 means never", c.DirectBytes)
	}
	return c, nil
}
