package faulty

import (
	"math"
	"math/rand/v2"
)

// schedule decides which of a sequence of events are hit: each with the same
// chance, all determined by the seed. Events are numbered from 0.
type schedule struct {
	random *rand.Rand
	chance float64
	at     uint64 // the next event that is hit
}

// never is the number of an event that does not come.
const never = math.MaxUint64

// kind distinguishes the schedules of one object.
type kind uint64

const (
	kindSendFull kind = iota
	kindSendDisconnect
	kindSendStatus
	kindRecvFull
	kindRecvDisconnect
	kindSharedRecvFull
	kindHold
	kindWake
	kindOut
	kindIn
	kindBack
)

// stream is a sequence of random numbers of a kind for an object.
func (k kind) stream(number uint32) uint64 { return uint64(k)<<32 | uint64(number) }

// newSchedule makes the schedule of a kind for an object, of which seed and
// number have to differ from those of others.
func newSchedule(seed uint64, k kind, number uint32, chance float64) schedule {
	s := schedule{random: rand.New(rand.NewPCG(seed, k.stream(number))), chance: chance}
	s.at = s.gap()
	return s
}

// gap draws the number of events that are spared before the next hit.
func (s *schedule) gap() uint64 {
	switch {
	case s.chance <= 0:
		return never
	case s.chance >= 1:
		return 0
	}
	gap := math.Log1p(-s.random.Float64()) / math.Log1p(-s.chance)
	if gap >= 1<<62 {
		return never
	}
	return uint64(gap)
}

// hits reports whether an event is hit, and if so moves on to the next one.
func (s *schedule) hits(event uint64) bool {
	if event != s.at {
		return false
	}
	s.at = never
	if gap := s.gap(); gap != never {
		s.at = event + 1 + gap
	}
	return true
}
