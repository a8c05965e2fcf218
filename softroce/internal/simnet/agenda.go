package simnet

import "time"

// entry is a call or an arrival that is to happen.
type entry struct {
	at       time.Duration
	number   uint64 // orders those of one moment
	call     func()
	lane     *Lane
	datagram []byte
	cuts     uint64 // of the lane, when the datagram was sent
}

// agenda is a heap of entries: the first is the next.
type agenda struct {
	entries []entry
	pushed  uint64
}

func (a *agenda) before(i, j int) bool {
	x, y := &a.entries[i], &a.entries[j]
	return x.at < y.at || x.at == y.at && x.number < y.number
}

func (a *agenda) push(e entry) {
	a.pushed++
	e.number = a.pushed
	a.entries = append(a.entries, e)
	for i := len(a.entries) - 1; i > 0; {
		parent := (i - 1) / 2
		if !a.before(i, parent) {
			break
		}
		a.entries[i], a.entries[parent] = a.entries[parent], a.entries[i]
		i = parent
	}
}

func (a *agenda) pop() entry {
	first, last := a.entries[0], len(a.entries)-1
	a.entries[0] = a.entries[last]
	a.entries[last] = entry{}
	a.entries = a.entries[:last]
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && a.before(child+1, child) {
			child++
		}
		if !a.before(child, i) {
			break
		}
		a.entries[i], a.entries[child] = a.entries[child], a.entries[i]
		i = child
	}
	return first
}
