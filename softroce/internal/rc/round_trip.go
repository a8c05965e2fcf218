package rc

import "time"

// roundTrip estimates how long an answer takes, and from that how long to wait
// for one (RFC 6298). One packet at a time is measured. One that was sent again
// is not: it is unknown which of the two was answered (Karn).
type roundTrip struct {
	smooth, variation time.Duration // smooth is 0 before the first measurement
	base              time.Duration // timeout, before backing off
	backoff           uint          // times that it has doubled, until there is a new measurement
	least, most       time.Duration

	timed  sequence // the packet that is measured; 0: none
	sentAt Time
}

func (t *roundTrip) init(least, most time.Duration) {
	t.most = max(most, 1)
	t.least = min(max(least, 1), t.most)
	t.base = t.least
}

// timeout is how long to wait for an answer.
func (t *roundTrip) timeout() time.Duration { return min(t.base<<t.backoff, t.most) }

// backOff doubles the timeout.
func (t *roundTrip) backOff() {
	if t.timeout() < t.most {
		t.backoff++
	}
}

// begin measures a packet that is sent for the first time, unless one is being
// measured.
func (t *roundTrip) begin(psn sequence, now Time) {
	if t.timed == 0 {
		t.timed, t.sentAt = psn, now
	}
}

// forget gives up the measurement: packets are sent again.
func (t *roundTrip) forget() { t.timed = 0 }

// acknowledged notes that all packets before psn were answered.
func (t *roundTrip) acknowledged(psn sequence, now Time) {
	if t.timed == 0 || psn <= t.timed {
		return
	}
	t.timed = 0
	t.backoff = 0
	sample := max(now-t.sentAt, 1)
	if t.smooth == 0 {
		t.smooth, t.variation = sample, sample/2
	} else {
		t.variation += (max(sample-t.smooth, t.smooth-sample) - t.variation) / 4
		t.smooth += (sample - t.smooth) / 8
	}
	t.base = min(max(4*t.smooth+4*t.variation, t.least), t.most)
}
