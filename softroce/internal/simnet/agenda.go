package simnet

import (
	"cmp"
	"slices"
	"time"
)

// entry is a call or an arrival that is to happen.
type entry struct {
	at       time.Duration
	call     func()
	lane     *Lane
	datagram []byte
	cuts     uint64 // of the lane, when the datagram was sent
}

// agenda is what is to happen, in order: the first is the next.
type agenda struct{ entries []entry }

// push adds an entry, behind those of the same moment.
func (a *agenda) push(e entry) {
	i, _ := slices.BinarySearchFunc(a.entries, e.at, func(x entry, at time.Duration) int {
		return cmp.Or(cmp.Compare(x.at, at), -1)
	})
	a.entries = slices.Insert(a.entries, i, e)
}

func (a *agenda) pop() entry {
	first := a.entries[0]
	a.entries = a.entries[1:]
	return first
}
