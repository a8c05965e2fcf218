package softroce

import "time"

// timers is a heap of the queue pairs' deadlines. It is lazy: a deadline that
// was postponed or cancelled is noticed when it comes, so that a packet that
// restarts a timer costs nothing here.
type timers []timer

type timer struct {
	at   time.Duration // on the engine's clock
	pair *queuePair
}

// never is later than all moments.
const never = time.Duration(1<<63 - 1)

// first is the earliest moment.
func (t timers) first() time.Duration {
	if len(t) == 0 {
		return never
	}
	return t[0].at
}

// set has the queue pair's deadline checked no later than at.
func (t *timers) set(q *queuePair, at time.Duration) {
	switch {
	case q.timer == 0:
		*t = append(*t, timer{at, q})
		q.timer = len(*t)
		t.up(q.timer - 1)
	case at < (*t)[q.timer-1].at:
		(*t)[q.timer-1].at = at
		t.up(q.timer - 1)
	}
}

// pop removes the earliest one.
func (t *timers) pop() *queuePair {
	q := (*t)[0].pair
	t.remove(q)
	return q
}

// remove removes the queue pair's, if there is one.
func (t *timers) remove(q *queuePair) {
	if q.timer == 0 {
		return
	}
	i, last := q.timer-1, len(*t)-1
	t.swap(i, last)
	(*t)[last].pair = nil
	*t = (*t)[:last]
	q.timer = 0
	if i < last {
		t.down(i)
		t.up(i)
	}
}

func (t timers) swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].pair.timer, t[j].pair.timer = i+1, j+1
}

func (t timers) up(i int) {
	for i > 0 && t[i].at < t[(i-1)/2].at {
		t.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
}

func (t timers) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(t); child++ {
			if t[child].at < t[least].at {
				least = child
			}
		}
		if least == i {
			return
		}
		t.swap(i, least)
		i = least
	}
}
