package simnet

import "time"

// The random decisions of a lane.

func (l *Lane) hit(chance float64) bool {
	return chance > 0 && l.random.Float64() < chance
}

func (l *Lane) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(l.random.Int64N(int64(d) + 1))
}

// loses decides about the next datagram. Runs of losses are those of a two-state
// chain: a run ends after each loss with chance 1/LossRun, and starts after each
// datagram that was spared with the chance that makes Loss of all of them lost.
func (l *Lane) loses() bool {
	c := &l.config
	if c.LossRun <= 1 || c.Loss <= 0 || c.Loss >= 1 {
		return l.hit(c.Loss)
	}
	chance := c.Loss / (1 - c.Loss) / c.LossRun
	if l.losing {
		chance = 1 - 1/c.LossRun
	}
	l.losing = l.hit(chance)
	return l.losing
}

// flip inverts from one bit to a dozen, close to each other or anywhere.
func (l *Lane) flip(b []byte) {
	bits := len(b) * 8
	n := 1 + l.random.IntN(4)*l.random.IntN(4)
	first := l.random.IntN(bits)
	near := l.random.IntN(2) == 0
	for i := range n {
		at := first
		switch {
		case i == 0:
		case near:
			at = (first + i) % bits
		default:
			at = l.random.IntN(bits)
		}
		b[at/8] ^= 1 << (at % 8)
	}
}
