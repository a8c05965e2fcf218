package invoke

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// cancels are the calls that a client has given up, as it says beside the data path:
// while a function runs the worker does not poll for requests. Functions that look at
// their context see it at once, and it costs nothing while no call is given up.
type cancels struct {
	slots   []workerSlot // given of each is the call of it that was given up last, as callMark
	looking atomic.Bool  // a look is due

	canceled func(running func() bool) // WorkerConfig.Canceled, or nil

	mu   sync.Mutex
	news chan struct{} // closed when another one is given up
}

// callMark is a call's id as a word that is not 0. Ids of one client that differ in the
// highest bit only are more calls apart than it can make.
func callMark(id uint64) uint64 { return id<<1 | 1 }

func (c *cancels) init(slots []workerSlot, canceled func(running func() bool)) {
	c.slots, c.canceled, c.news = slots, canceled, make(chan struct{})
}

// Kinds of notices. A client's, of a call that was cancelled, or whose deadline has passed
// there, have the call's slot and its id behind them, little-endian; a worker's drain has
// nothing.
const (
	noticeCancel  = 1
	noticeDrain   = 2
	noticeExpired = 3

	noticeBytes = 1 + 4 + 8
)

func encodeGivenUp(kind byte, slot uint32, id uint64) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{kind}, slot)
	return binary.LittleEndian.AppendUint64(b, id)
}

// notified takes a notice. One that makes no sense gives up nothing.
func (c *cancels) notified(msg []byte) {
	if len(msg) != noticeBytes || msg[0] != noticeCancel && msg[0] != noticeExpired {
		return
	}
	slot, id := binary.LittleEndian.Uint32(msg[1:]), binary.LittleEndian.Uint64(msg[5:])
	if uint64(slot) >= uint64(len(c.slots)) {
		return
	}
	c.slots[slot].expired.Store(msg[0] == noticeExpired) // first: it is read after the other
	c.slots[slot].given.Store(callMark(id))
	c.mu.Lock()
	close(c.news)
	c.news = make(chan struct{})
	c.mu.Unlock()
	c.tell()
	// It may have come just as the function was entered, of which this goroutine does
	// not know yet.
	if c.canceled != nil && c.looking.CompareAndSwap(false, true) {
		time.AfterFunc(time.Millisecond, func() {
			c.looking.Store(false)
			c.tell()
		})
	}
}

// tell calls canceled for calls that run and were given up, once for each.
func (c *cancels) tell() {
	if c.canceled == nil {
		return
	}
	for i := range c.slots {
		s := &c.slots[i]
		if mark := s.running.Load(); mark != 0 && s.given.Load() == mark && s.told.Swap(mark) != mark {
			c.canceled(func() bool { return s.running.Load() == mark })
		}
	}
}

// next is closed when another call is given up.
func (c *cancels) next() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.news
}
