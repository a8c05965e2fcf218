package accounting

import (
	"fmt"
	"math"
	"math/bits"
)

// Quantity is one of the things that are metered.
type Quantity uint8

// The quantities, in the order of the words in pages and ledgers.
const (
	CoreTime     Quantity = iota // cores allocated x time, in ns
	MemoryTime                   // memory allocated x time, in MiB x ms
	PolledTime                   // time polled for calls, in ns
	ExecutedTime                 // time in which functions ran, in ns
	Invocations                  // calls
	BytesIn                      // bytes of inputs
	BytesOut                     // bytes of results
)

// Quantities is how many there are.
const Quantities = 7

var quantityNames = [Quantities]string{
	"core_ns", "memory_mib_ms", "polled_ns", "executed_ns", "invocations", "in_bytes", "out_bytes",
}

// String is the name in JSON and CSV, with the unit.
func (q Quantity) String() string {
	if q >= Quantities {
		return fmt.Sprintf("Quantity(%d)", uint8(q))
	}
	return quantityNames[q]
}

// Usage is an amount of each quantity, in the units of the quantities.
type Usage [Quantities]uint64

// Add is the sum. What is too large for a word stays at the largest one: usage that
// is claimed can be any number, and must not make a sum small.
func (u Usage) Add(v Usage) Usage {
	for q := range u {
		sum, carry := bits.Add64(u[q], v[q], 0)
		if carry != 0 {
			sum = math.MaxUint64
		}
		u[q] = sum
	}
	return u
}

// Sub is what was used since an earlier state of the same cumulative words. It is an
// error if a word went backward. That is not taken for 0, which would leave usage out of
// the bill without a sign.
func (u Usage) Sub(earlier Usage) (Usage, error) {
	for q := range u {
		if u[q] < earlier[q] {
			return Usage{}, fmt.Errorf("%v went backward, from %d to %d: cumulative values only grow", Quantity(q), earlier[q], u[q])
		}
		u[q] -= earlier[q]
	}
	return u, nil
}

// IsZero reports whether nothing was used.
func (u Usage) IsZero() bool { return u == Usage{} }
