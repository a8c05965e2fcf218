package rc_test

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/rfaas-go/rfaas/softroce/internal/simnet"
	"github.com/rfaas-go/rfaas/softroce/wire"
)

// settings is what differs between walks, besides the seed's other decisions.
type settings struct {
	clients, pairs int  // hosts that connect to the server, and queue pairs of each
	shared         bool // the server has one receive queue for all
	ipv6           bool

	mtu, window            int
	depth, inline          int // of the send queue; bytes
	maxReads, resources    int
	minTimeout, ackTimeout time.Duration
	retries, rnrRetries    int
	rnrTimer               uint8
	link                   simnet.Config

	// The programs.
	requests     int // of each side
	maxBytes     int
	gap          time.Duration // mean pause between posts, and how many at a time at most
	burst        int
	receives     int           // posted at most
	receiveGap   time.Duration // mean pause between posts of receives
	eager        bool          // all receives are there before the first request
	signaled     float64       // part of the requests that are
	mix          [6]int        // weights of send, write, write-imm, read, fetch-add, compare-swap
	readiesQuiet bool          // nobody tells the queue pair that receives were posted

	// The drivers.
	react    time.Duration // from an arrival to the next look: packets come in batches
	batch    int           // packets sent at a time
	ackDelay time.Duration // how long an ACK may wait
	late     time.Duration // how late timers are looked after
}

// packet is the longest datagram there is.
func (s *settings) packet() int { return s.mtu + wire.MaxHeaderBytes + wire.ICRCBytes }

// roundTrip is about the longest, with a full queue in both directions.
func (s *settings) roundTrip() time.Duration {
	oneWay := s.link.Delay + s.link.Jitter + s.link.ReorderBy + s.react + s.ackDelay + s.late
	if s.link.BytesPerSecond > 0 {
		queued := int64(max(s.link.QueueDatagrams, 1)) * int64(s.packet())
		oneWay += time.Duration(queued * int64(time.Second) / s.link.BytesPerSecond)
	}
	return 2 * oneWay
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func oneIn(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

// between draws from a range; its logarithm is uniform, so that each order of
// magnitude has its share.
func between[T int | float64 | time.Duration](r *rand.Rand, low, high T) T {
	return T(math.Exp(math.Log(float64(low)) + r.Float64()*math.Log(float64(high)/float64(low))))
}

// drawClean draws all but the faults of the link.
func drawClean(w *walk) settings {
	r := w.random
	s := settings{
		clients: 1, pairs: 1,
		ipv6:       oneIn(r, 2),
		mtu:        pick(r, 256, 256, 512, 1024, 2048, 4096),
		window:     pick(r, 1, 2, 3, 5, 8, 16, 32, 64, 128, 256),
		depth:      pick(r, 1, 2, 3, 4, 7, 8, 16, 32, 64),
		inline:     pick(r, 0, 16, 64, 220, 512),
		maxReads:   1 + r.IntN(16),
		minTimeout: between(r, 50*time.Microsecond, 2*time.Millisecond),
		retries:    7, rnrRetries: 7,
		rnrTimer: uint8(1 + r.IntN(14)),
		link:     simnet.Config{Delay: between(r, time.Microsecond, 100*time.Microsecond)},

		requests:   between(r, 10, 200),
		gap:        between(r, time.Microsecond, 100*time.Microsecond),
		burst:      between(r, 1, 16),
		receives:   between(r, 1, 64),
		receiveGap: between(r, time.Microsecond, 300*time.Microsecond),
		eager:      oneIn(r, 3),
		signaled:   pick(r, 0, 0.1, 0.5, 1),

		batch: pick(r, 1, 2, 8, 64, 1000),
	}
	if oneIn(r, 8) {
		s.link.Delay = time.Millisecond // longer than some smallest timeouts
	}
	if oneIn(r, 2) {
		s.link.Jitter = between(r, 1, s.link.Delay)
	}
	if oneIn(r, 2) {
		s.react = between(r, 100*time.Nanosecond, 10*time.Microsecond)
	}
	if oneIn(r, 2) {
		s.ackDelay = between(r, time.Microsecond, 50*time.Microsecond)
	}
	if oneIn(r, 2) {
		s.late = between(r, time.Microsecond, 300*time.Microsecond)
	}
	s.resources = s.maxReads + r.IntN(3)
	s.readiesQuiet = oneIn(r, 8)
	s.maxBytes = min(s.mtu*pick(r, 1, 2, 3, 5, 9, 20, 40)+r.IntN(s.mtu), 48<<10)
	// Enough to see what is wrong; more would be time spent on copying.
	s.depth = max(1, min(s.depth, 256<<10/s.maxBytes))
	s.receives = max(1, min(s.receives, 256<<10/s.maxBytes))
	s.requests = max(10, min(s.requests, 1<<20/s.maxBytes))
	for i := range s.mix {
		s.mix[i] = pick(r, 0, 1, 1, 3)
	}
	s.mix[r.IntN(len(s.mix))] += 2
	s.setTimeouts(r)
	return s
}

// drawCalm draws a link without faults, and timeouts that are long enough for it.
func drawCalm(w *walk) settings {
	s := drawClean(w)
	if oneIn(w.random, 2) {
		s.eager, s.receives = true, max(s.receives, 20)
		s.requests = min(s.requests, s.receives)
	}
	if oneIn(w.random, 2) {
		s.signaled = 1
	}
	s.link.Jitter = min(s.link.Jitter, s.link.Delay/2)
	s.minTimeout = 3*s.roundTrip() + time.Millisecond
	s.setTimeouts(w.random)
	return s
}

// beginCalm: nothing may be sent twice then, except for want of a receive, or to
// get an acknowledgement that was not asked for.
func beginCalm(w *walk) {
	w.atEnd = func() {
		for _, h := range w.hosts {
			c := h.counters
			odd := c.Timeouts + c.InvalidPackets
			if w.eager && w.settings.receives >= w.requests {
				odd += c.LostResponses + c.SequenceNAKsSent + c.RNRNAKsSent + c.OutOfOrder
				if w.signaled == 1 {
					odd += c.Retransmitted + c.ReplayedReads + c.ReplayedAtomics + c.Duplicates + c.StaleAcks
				}
			}
			if odd != 0 {
				w.failf("%s: without a fault, there were faults: %+v", h.name, c)
			}
		}
	}
}

// setTimeouts makes the longest timeout long enough for an answer to come.
func (s *settings) setTimeouts(r *rand.Rand) {
	s.ackTimeout = max(4*s.minTimeout, 2*s.roundTrip()) * time.Duration(pick(r, 1, 2, 8))
}

// drawFaults draws a link that loses, doubles, reorders and damages.
func drawFaults(w *walk) settings {
	r, s := w.random, drawClean(w)
	worst := 0.0
	level := func(most float64) float64 {
		if !oneIn(r, 2) {
			return 0
		}
		p := between(r, 0.001, most)
		worst = max(worst, p)
		return p
	}
	s.link.Loss = level(0.2)
	if oneIn(r, 3) {
		s.link.LossRun = pick[float64](r, 2, 4, 10)
	}
	s.link.Duplicate = level(0.3)
	s.link.Reorder = level(0.3)
	if s.link.Reorder > 0 {
		s.link.ReorderBy = between(r, 1, 4*s.link.Delay)
		if oneIn(r, 8) {
			s.link.ReorderBy = 5 * time.Millisecond // so a stale copy can arrive long after
		}
	}
	s.link.Flip = level(0.1)
	s.link.Truncate = level(0.05)
	if s.link.Flip > 0 || s.link.Truncate > 0 {
		s.ipv6 = true // on IPv4, what is left of the check without the identification is too weak for so much damage
	}
	if worst > 0.01 || s.link.LossRun > 0 {
		s.retries = 200 // no walk may fail by chance
	}
	s.setTimeouts(r)
	return s
}

// drawNarrow draws a slow link with a short queue.
func drawNarrow(w *walk) settings {
	r, s := w.random, drawClean(w)
	s.link.BytesPerSecond = int64(between(r, 50e6, 5e9))
	s.link.QueueDatagrams = between(r, 4, 128)
	s.link.MTU = s.packet()
	if oneIn(r, 3) {
		s.link.QueueBytes = max(s.packet(), s.link.QueueDatagrams*s.packet()/4)
	}
	if oneIn(r, 3) {
		s.link.Loss = 0.01
	}
	s.retries = 200
	s.gap, s.burst = time.Microsecond, 16
	s.setTimeouts(r)
	return s
}

// drawShared draws many queue pairs, and one receive queue for all at the server.
func drawShared(w *walk) settings {
	r, s := w.random, drawFaults(w)
	s.clients, s.pairs, s.shared = 1+r.IntN(3), 1+r.IntN(3), true
	s.requests = max(10, s.requests/s.clients/s.pairs)
	s.retries = 200
	return s
}
