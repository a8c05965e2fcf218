package invoke

import (
	"math"
	"math/bits"
	"sync"
	"time"
)

// The loop reads the clock twice a call. That is done by counting the
// processor's ticks where they are known to be even: 10 ns a reading, where
// time.Since takes 27, more than everything else that an empty call costs the
// worker.

// instant is one moment by both clocks.
type instant struct {
	ticks int64
	time  time.Time
}

// readClocks reads both clocks at nearly the same time: it may lose the
// processor in between, so it takes the best of several attempts.
func readClocks() (best instant) {
	const attempts = 5
	least := int64(math.MaxInt64)
	for range attempts {
		before := ticks()
		t := time.Now()
		if gap := ticks() - before; gap < least {
			least, best = gap, instant{before + gap/2, t}
		}
	}
	return best
}

// epoch is when this process began to count.
var epoch = readClocks()

// now is the time in ns since epoch, on the monotonic clock.
func now() int64 { return int64(time.Since(epoch.time)) }

// tickLength is the length of a tick in ns, with tickShift binary places.
type tickLength uint64

const tickShift = 32

// calibration is how long ticks are counted, at least, to find out how long they
// are. Reading both clocks is good to some 30 ns, so the result is to 30 ppm.
const calibration = time.Millisecond

// calibrated is the length of a tick. The first call may take calibration, if
// the process is younger.
var calibrated = sync.OnceValue(func() tickLength {
	for {
		end := readClocks()
		elapsed, passed := uint64(end.time.Sub(epoch.time)), uint64(end.ticks-epoch.ticks)
		if elapsed < uint64(calibration) || passed <= elapsed>>tickShift {
			continue
		}
		length, _ := bits.Div64(elapsed>>(64-tickShift), elapsed<<tickShift, passed)
		return tickLength(length)
	}
})

// ns is how long a number of ticks takes. Processors whose counters differ a
// little can make it negative: that is 0.
func (t tickLength) ns(ticks int64) int64 {
	high, low := bits.Mul64(uint64(max(ticks, 0)), uint64(t))
	return int64(high<<(64-tickShift) | low>>tickShift)
}
