//go:build !amd64

package invoke

import "time"

var tickBase = time.Now()

// ticks counts something that grows evenly: see tickLength.
func ticks() int64 { return int64(time.Since(tickBase)) }
