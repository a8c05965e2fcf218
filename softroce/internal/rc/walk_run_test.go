package rc_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/rfaas-go/rfaas/softroce/internal/rc"
	"github.com/rfaas-go/rfaas/softroce/internal/simnet"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// walk is one random walk: a server and its clients, their queue pairs, and the
// programs that use them.
type walk struct {
	settings
	kind    *kind
	seed    uint64
	random  *rand.Rand
	net     *simnet.Network
	byEnd   map[*simnet.End]*host
	hosts   []*host // the server first
	sides   []*side // those of a connection next to each other
	log     eventLog
	scratch []byte

	packets, mostPackets int
	provoked             int           // packets that forged ones may have caused
	limit                time.Duration // simulated time by which all must be done
	quiet                bool          // all is done; what is under way may still arrive
	busy                 int           // turns at one moment

	// Of the special kinds.
	during  func()                                                  // after each turn
	atEnd   func()                                                  // before memory is compared
	cause   func(s *side, r *request, status transport.Status) bool // says whether a request may fail like that, as the first one
	deaf    bool                                                    // nobody is told of failures
	lawless bool                                                    // completions promise nothing
}

// The bounds of what a walk may need, in all: measured, and then some. A walk
// beyond them does not come to an end.
const (
	mostTime       = 60 * time.Second
	packetsPerNeed = 60
)

func newWalk(k *kind, seed uint64, lines int) *walk {
	w := &walk{
		kind: k, seed: seed,
		random: rand.New(rand.NewPCG(seed, 0x77616c6b)),
		net:    simnet.New(seed, time.Second),
		byEnd:  map[*simnet.End]*host{},
		log:    eventLog{most: lines},
	}
	w.settings = k.draw(w)
	w.limit = w.net.Now() + mostTime
	w.mostPackets = 1 << 62
	if w.log.on() {
		w.net.Observe(w.watch)
	}
	for i := range 1 + w.clients {
		name := "server"
		if i > 0 {
			name = fmt.Sprintf("client%d", i)
		}
		h := newHost(w, name, w.address(i))
		w.hosts = append(w.hosts, h)
		w.byEnd[h.end] = h
	}
	server := w.hosts[0]
	if w.shared {
		server.shared = newReceives(server, "shared receives", w.settings.receives)
	}
	for _, client := range w.hosts[1:] {
		w.net.Join(client.end, server.end, w.link)
		for range w.pairs {
			w.connect(client, server)
		}
	}
	for _, h := range w.hosts {
		h.words.region = h.register("words", 8*sharedWords, transport.RemoteAtomic)
		h.furnish()
		h.words.start()
	}
	return w
}

func (w *walk) address(i int) netip.AddrPort {
	a := netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)})
	if w.ipv6 {
		a = netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(i + 1)})
	}
	return netip.AddrPortFrom(a, wire.Port)
}

// connect makes the two queue pairs of a connection.
func (w *walk) connect(client, server *host) {
	n := len(w.sides) / 2
	a := newSide(w, client, fmt.Sprintf("c%d", n))
	b := newSide(w, server, fmt.Sprintf("s%d", n))
	a.peer, b.peer = b, a
	for _, s := range []*side{a, b} {
		s.grant()
		s.firstPSN = w.random.Uint32() & wire.PSNMask
		if !oneIn(w.random, 3) {
			s.firstPSN = wire.PSNAdd(0, -1-w.random.IntN(150)) // the numbers wrap early
		}
		w.sides = append(w.sides, s)
	}
	for _, s := range []*side{a, b} {
		s.sentEnd, s.acked = s.firstPSN, s.firstPSN
		s.q = rc.New(rc.Config{
			Conn:    s.conn,
			PeerQPN: s.peer.qpn, SendPSN: s.firstPSN, RecvPSN: s.peer.firstPSN,
			MTU:       w.mtu,
			SendDepth: w.depth, InlineBytes: w.inline,
			MaxReads: w.maxReads, Resources: w.resources,
			RNRTimer: w.rnrTimer, RNRRetries: w.rnrRetries,
			MinTimeout: w.minTimeout, AckTimeout: w.ackTimeout, Retries: w.retries,
			Window: w.window,
			Memory: s.host, Receives: s, Sink: s,
			Counters: &s.host.counters,
		})
	}
}

func (w *walk) now() rc.Time { return w.net.Now() }

func (w *walk) failf(format string, args ...any) {
	panic(broken(fmt.Sprintf(format, args...)))
}

// run takes the walk to its end.
func (w *walk) run() {
	for _, s := range w.sides {
		s.start()
	}
	if w.hosts[0].shared != nil {
		w.hosts[0].shared.start()
	}
	if w.kind.begin != nil {
		w.kind.begin(w)
	}
	for !w.done() {
		w.mostPackets = packetsPerNeed*(w.minimum()+50) + w.provoked
		if !w.turn() {
			w.failf("nothing will ever happen again, and it is not done")
		}
	}
	// What is under way, doubled or held back, must not do harm any more, and all
	// timers must come to rest.
	w.quiet = true
	for w.turn() {
	}
	for _, s := range w.sides {
		s.finish()
	}
	if w.atEnd != nil {
		w.atEnd()
	}
	for _, h := range w.hosts {
		if !w.lawless {
			h.words.check()
		}
		h.compare(piece{0, len(h.bytes)}, "at the end")
	}
}

// turn moves the clock to the next thing that is to happen, and lets the queue
// pairs react. It returns false when there is nothing.
func (w *walk) turn() bool {
	at, ok := w.net.Next()
	for _, s := range w.sides {
		if t := s.next(); t != 0 && (!ok || t < at) {
			at, ok = t, true
		}
	}
	if !ok {
		return false
	}
	if at > w.limit {
		w.failf("no end: %v simulated are over", mostTime)
	}
	if at <= w.net.Now() {
		at = w.net.Now()
		if w.busy++; w.busy > 100_000 {
			w.failf("no end: time does not pass any more")
		}
	} else {
		w.busy = 0
	}
	w.net.Advance(at)
	for _, s := range w.sides {
		if t := s.next(); t != 0 && t <= w.now() {
			s.drive()
		}
	}
	if w.during != nil {
		w.during()
	}
	return true
}

func (w *walk) done() bool {
	for _, s := range w.sides {
		if !s.done() {
			return false
		}
	}
	return true
}

// progress is how many requests have ended, of how many.
func (w *walk) progress() (ended, all int) {
	for _, s := range w.sides {
		ended += s.ended
		all += w.requests
	}
	return ended, all
}

// minimum is how many packets a perfect network would have needed for what was
// posted: those with requests or their data, and those that answer READs and
// atomics; no acknowledgements.
func (w *walk) minimum() (packets int) {
	for _, s := range w.sides {
		packets += s.minimum
	}
	return packets
}

func (w *walk) outcome() outcome {
	o := outcome{walks: 1, packets: w.packets, minimum: w.minimum()}
	o.simulated = (w.net.Now() - time.Second).Seconds()
	o.longest = o.simulated
	for _, s := range w.sides {
		o.requests += len(s.posted)
	}
	for _, h := range w.hosts {
		o.damaged += h.damaged
		addCounters(&o.counters, &h.counters)
	}
	return o
}
