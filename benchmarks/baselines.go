package benchmarks

import "github.com/rfaas-go/rfaas/transport"

// medium is what is under a device: the names of the bare tests of it, one with
// a polling round trip and one of bandwidth.
type medium struct{ latency, bandwidth string }

var (
	sharedMemoryMedium = medium{"baseline-shm-lat", "baseline-memcpy-bw"}
	datagramMedium     = medium{"baseline-udp-lat", "baseline-udp-bw"}
)

// mediumOf is the medium of a device with these features: what reaches other
// machines goes through a network, even when the peer is on this one.
func mediumOf(f transport.Features) medium {
	if f.Has(transport.FeatureCrossHost) {
		return datagramMedium
	}
	return sharedMemoryMedium
}

// answered is the baseline of a latency test in which the peer's program
// answers: a polling round trip, or a blocking wake-up for those that sleep.
func answered(mode string, m medium) string {
	if mode == Warm {
		return "baseline-block-lat"
	}
	return m.latency
}

// fetched is the baseline of a latency test in which nobody is woken at the peer.
func fetched(_ string, m medium) string { return m.latency }

// moved is the baseline of a bandwidth test.
func moved(_ string, m medium) string { return m.bandwidth }

// baselineParams is the measurement of the bare medium that belongs to p, if
// there is one: of the same size where the baseline has sizes.
func baselineParams(p params, m medium) (params, bool) {
	t := lookup(p.Test)
	if t.baseline == nil {
		return params{}, false
	}
	b := lookup(t.baseline(p.Mode, m))
	size := clamp(p.SizeBytes, b.sizes.least, b.sizes.most)
	size = (size + b.sizes.step - 1) / b.sizes.step * b.sizes.step
	c := Config{Iterations: p.Iterations}
	if b.depth.most > 0 {
		c.Depth = p.Depth
	}
	bp, err := b.params(c, size)
	return bp, err == nil
}
