package benchmarks

import "time"

// epoch is where clock counts from.
var epoch = time.Now()

// clock reads the monotonic clock, in nanoseconds. It is one reading of the
// vDSO; time.Now would be two.
func clock() int64 { return int64(time.Since(epoch)) }
