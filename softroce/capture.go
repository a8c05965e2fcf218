package softroce

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Captured is a packet that an engine sent or received.
type Captured struct {
	Time                time.Time
	Sent                bool // by this engine
	Source, Destination netip.AddrPort
	// ID is the IPv4 identification that the ICRC was computed with: of a received
	// packet, the one that makes it hold.
	ID       uint16
	Datagram []byte // the UDP payload, from BTH to ICRC; not to be kept
}

// Tap has f called with every packet that the engine sends, and with every one
// that it receives with the right source and ICRC; nil ends that. f runs under
// the engine lock and must not use the device. Tap may be called from anywhere.
// When it returns, an earlier f is not called any more.
func (a *Adapter) Tap(f func(Captured)) {
	a.engine.Lock()
	a.engine.tap = f
	a.engine.Unlock()
}

// capture shows a packet to the tap.
func (e *engine) capture(c Captured) {
	c.Time = time.Now()
	e.tap(c)
}

// observers are called with every engine that is opened.
var observers struct {
	sync.Mutex
	list []*func(*Adapter)
}

// Observe has f called with every engine that is opened in this process, before
// it sends or receives anything, until stop is called: so that a tool can tap the
// engines of a program that opens them by URL.
func Observe(f func(*Adapter)) (stop func()) {
	observers.Lock()
	defer observers.Unlock()
	observers.list = append(observers.list, &f)
	return func() {
		observers.Lock()
		defer observers.Unlock()
		observers.list = slices.DeleteFunc(observers.list, func(o *func(*Adapter)) bool { return o == &f })
	}
}

func (a *Adapter) announce() {
	observers.Lock()
	list := slices.Clone(observers.list)
	observers.Unlock()
	for _, f := range list {
		(*f)(a)
	}
}
