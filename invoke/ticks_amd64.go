package invoke

import (
	"os"
	"strings"
	"time"
)

// stampCounter reads the processor's time stamp counter.
func stampCounter() int64

// counterUsable is whether the counters of all processors tick evenly and
// together: Linux has verified it if it keeps its own time by them.
var counterUsable = func() bool {
	source, err := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	return err == nil && strings.TrimSpace(string(source)) == "tsc"
}()

var tickBase = time.Now()

// ticks counts something that grows evenly: see tickLength.
func ticks() int64 {
	if counterUsable {
		return stampCounter()
	}
	return int64(time.Since(tickBase))
}
