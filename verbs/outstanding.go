package verbs

import (
	"sync/atomic"

	"github.com/rfaas-go/rfaas/internal/order"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// outstanding records the requests of a send or receive queue that have not completed,
// in order. A device reports nothing but the number of a request that failed, and
// nothing at all of unsignaled ones that succeeded.
//
// Requests posted after the connection has failed are withheld from the device, because
// not every driver would flush them. They come after all others.
type outstanding struct {
	records provider.Ring[record]
	depth   uint32

	_        [64]byte
	posted   atomic.Uint32 // records written, by the one goroutine that posts
	handed   atomic.Uint32 // records that the device has, or that are withheld
	withheld atomic.Int64  // the first one, -1 for none

	_      [64]byte
	freed  atomic.Uint32 // records done with, by the one goroutine that polls
	marked uint32        // by the same: those before it are done with unless withheld
}

type record struct {
	id uint64
	op transport.Op
}

func newOutstanding(depth uint32) *outstanding {
	o := &outstanding{records: provider.NewRing[record](depth), depth: depth}
	o.withheld.Store(-1)
	return o
}

// room is how many requests fit. By the goroutine that posts.
func (o *outstanding) room() int { return int(o.depth - (o.posted.Load() - o.freed.Load())) }

// add records requests, no more than room, and returns the sequence number of the first.
func (o *outstanding) add(wrs []transport.WorkRequest) uint32 {
	first := o.posted.Load()
	for i := range wrs {
		*o.records.At(first + uint32(i)) = record{wrs[i].ID, wrs[i].Op}
	}
	order.Publish(&o.posted, first+uint32(len(wrs)))
	return first
}

// hand marks all posted records as handed to the device.
func (o *outstanding) hand() { order.Publish(&o.handed, o.posted.Load()) }

// withhold marks all records from seq on as withheld, unless earlier ones are.
func (o *outstanding) withhold(seq uint32) { o.withheld.CompareAndSwap(-1, int64(seq)) }

// isWithheld reports whether an outstanding record is withheld.
func (o *outstanding) isWithheld(seq uint32) bool {
	first := o.withheld.Load()
	return first >= 0 && int32(seq-uint32(first)) >= 0
}

// complete is the record whose number a completion carries, and frees it and those
// before it. ok is false for a number that is not outstanding.
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

// A device returns the low bits of a sequence number, the position.
const (
	positionBits = 30
	positionMask = 1<<positionBits - 1
)

// next is the oldest record if it is known to be flushed: because it is withheld, or
// because the device is done with everything (all) and has not completed it. It skips
// unsignaled records that a marker has shown to have succeeded.
func (o *outstanding) next(all bool) (record, bool) {
	for {
		freed := o.freed.Load()
		if freed == o.posted.Load() {
			return record{}, false
		}
		if all || o.isWithheld(freed) {
			r := *o.records.At(freed)
			order.Publish(&o.freed, freed+1)
			if o.isWithheld(freed) {
				o.withheld.Store(int64(freed + 1)) // keeps it near freed, though numbers wrap
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
