package agent

import (
	"slices"
	"time"
)

// loadSample is processor time that was used until a moment, cumulative since some
// earlier one.
type loadSample struct {
	at   time.Duration // by a monotonic clock
	used time.Duration // by all, on the processors that are looked at
	own  time.Duration // by the agent and what it runs
}

// demand says how many cores the node's owner wants back, by the load of what is not
// the agent's. It does no I/O and has no clock; it is not safe for concurrent use.
type demand struct {
	yield  float64       // cores that others may use
	most   int           // cores that can be given
	window time.Duration // of the mean

	samples []loadSample // the first is as old as the window, if there is one that old
	cores   int          // that the owner wants
}

const (
	// demandMargin is by how many cores the load has to fall short of what would have
	// taken a core until that core comes back.
	demandMargin = 0.25
	// leastYield is the least load, in cores, that is taken for the owner's: no machine
	// is ever quite idle.
	leastYield = 0.1
)

func newDemand(yield float64, most int, window time.Duration) *demand {
	return &demand{yield: max(yield, leastYield), most: most, window: window}
}

// add takes the next sample, and returns the mean of what others have used within the
// window, in cores. Before there are samples of a whole window it is 0, and nothing
// changes. Each core that others use beyond yield, in part or whole, is one for the owner.
func (d *demand) add(s loadSample) (others float64) {
	d.samples = append(d.samples, s)
	old := 0
	for old+1 < len(d.samples) && s.at-d.samples[old+1].at >= d.window {
		old++
	}
	d.samples = slices.Delete(d.samples, 0, old)
	first := d.samples[0]
	if s.at-first.at < d.window {
		return 0
	}
	// Counters are not read at one moment, and that of a processor that was switched off
	// is missing: the difference can be negative.
	others = max((s.used-first.used-(s.own-first.own)).Seconds(), 0) / (s.at - first.at).Seconds()
	for d.cores < d.most && others > d.yield+float64(d.cores) {
		d.cores++
	}
	for d.cores > 0 && others < d.backBelow() {
		d.cores--
	}
	return others
}

// backBelow is the load below which the last core that the owner got comes back.
func (d *demand) backBelow() float64 {
	return max(d.yield+float64(d.cores-1)-demandMargin, d.yield/2)
}
