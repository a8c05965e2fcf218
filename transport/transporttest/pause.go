package transporttest

import (
	"fmt"
	"runtime"
	"time"
)

// pause is how a loop that polls waits: it spins for a moment and then sleeps,
// a little longer each time, so that a machine with few cores gets on with what
// is waited for. The zero pause is ready; it does not allocate.
type pause struct {
	began time.Time
	nap   time.Duration
}

const (
	spinTime = 20 * time.Microsecond
	firstNap = 20 * time.Microsecond
	lastNap  = 500 * time.Microsecond
)

// wait waits for a moment.
func (p *pause) wait() {
	switch {
	case p.began.IsZero():
		p.began, p.nap = time.Now(), firstNap
	case p.nap == firstNap && time.Since(p.began) < spinTime:
	default:
		time.Sleep(p.nap)
		p.nap = min(2*p.nap, lastNap)
		return
	}
	runtime.Gosched()
}

// waited is how long the pause has lasted so far.
func (p *pause) waited() time.Duration {
	if p.began.IsZero() {
		return 0
	}
	return time.Since(p.began)
}

// after waits for a moment, or begins anew if there was progress. It fails when
// there was none for longer than patience.
func (p *pause) after(progress bool, patience time.Duration, what string) error {
	if progress {
		*p = pause{}
		return nil
	}
	if p.waited() > patience {
		return fmt.Errorf("%w (%v): %s", errDeadline, patience, what)
	}
	p.wait()
	return nil
}

// until waits for done to be true, at most for the given time.
func until(patience time.Duration, what string, done func() bool) error {
	for p := (pause{}); !done(); {
		if err := p.after(false, patience, what); err != nil {
			return err
		}
	}
	return nil
}
