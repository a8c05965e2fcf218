package verbs

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// outstanding is the record of what a send or receive queue has taken and has not
// completed, in order. A device tells of a request that failed nothing but its
// number; and it tells nothing at all of unsignaled ones that succeeded.
//
// Requests that are posted when the connection has failed are not given to the
// device (not every driver would flush them): they are the soft ones, and come
// after all others.
type outstanding struct {
	records provider.Ring[record]
	depth   uint32

	_      [64]byte
	posted atomic.Uint32 // records written, by the one goroutine that posts
	handed atomic.Uint32 // records of which the device has been told, or that are soft
	soft   atomic.Int64  // the first soft one, -1 for none

	_      [64]byte
	freed  atomic.Uint32 // records done with, by the one goroutine that polls
	marked uint32        // by the same: those before it are done with unless soft
}

type record struct {
	id uint64
	op transport.Op
}

func newOutstanding(depth uint32) *outstanding {
	o := &outstanding{records: provider.NewRing[record](depth), depth: depth}
	o.soft.Store(-1)
	return o
}

// room is how many requests there are places for. By the goroutine that posts.
func (o *outstanding) room() int { return int(o.depth - (o.posted.Load() - o.freed.Load())) }

// add writes records for requests, of which there are no more than room, and
// returns the sequence number of the first.
func (o *outstanding) add(wrs []transport.WorkRequest) uint32 {
	first := o.posted.Load()
	for i := range wrs {
		*o.records.At(first + uint32(i)) = record{wrs[i].ID, wrs[i].Op}
	}
	order.Publish(&o.posted, first+uint32(len(wrs)))
	return first
}

// hand says that the device has been told of all records up to the posted ones.
func (o *outstanding) hand() { order.Publish(&o.handed, o.posted.Load()) }

// soften makes all records from seq on soft, unless earlier ones are.
func (o *outstanding) soften(seq uint32) { o.soft.CompareAndSwap(-1, int64(seq)) }

// isSoft reports whether a record is soft. Records are compared by their distance
// from the oldest, which is what the soft ones come after.
func (o *outstanding) isSoft(seq uint32) bool {
	soft := o.soft.Load()
	return soft >= 0 && int32(seq-uint32(soft)) >= 0
}

// complete is the record whose number a completion carries. It and those before
// it are done with: their places are free. A number that is not outstanding is
// not ok.
func (o *outstanding) complete(position uint32) (r record, ok bool) {
	freed := o.freed.Load()
	seq := freed + (position-freed)&positionMask
	if int32(o.posted.Load()-seq) <= 0 {
		return record{}, false
	}
	r = *o.records.At(seq)
	order.Publish(&o.freed, seq+1)
	return r, true
}

// A device carries the low bits of a sequence number for us, the position.
const (
	positionBits = 30
	positionMask = 1<<positionBits - 1
)

// next is the oldest record if it is known to be flushed: because it is soft, or
// because the device is done with everything (all) and never said how it ended.
// Records that a marker has shown to have succeeded silently are dropped on the
// way.
func (o *outstanding) next(all bool) (record, bool) {
	for {
		freed := o.freed.Load()
		if freed == o.posted.Load() {
			return record{}, false
		}
		if all || o.isSoft(freed) {
			r := *o.records.At(freed)
			order.Publish(&o.freed, freed+1)
			if soft := o.soft.Load(); soft >= 0 && o.isSoft(freed) {
				o.soft.Store(int64(freed + 1)) // keeps the distance short, however long this goes on
			}
			return r, true
		}
		if int32(o.marked-freed) <= 0 {
			return record{}, false
		}
		order.Publish(&o.freed, freed+1)
	}
}

// empty reports whether everything that was posted is done with.
func (o *outstanding) empty() bool { return o.freed.Load() == o.posted.Load() }
