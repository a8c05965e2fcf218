package transporttest

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// pair is the two ends, and the test that is using them. The ends live as long
// as Run, their devices as long as a test.
type pair struct {
	*testing.T
	cfg    Config
	a, b   *end
	random *rand.Rand // of the running test
}

// look is how long a test watches that something does not happen.
const look = 10 * time.Millisecond

func (p *pair) ends() []*end { return []*end{p.a, p.b} }

// newPair makes the ends.
func newPair(t *testing.T, cfg Config) *pair {
	p := &pair{T: t, cfg: cfg}
	p.a = &end{name: "a", url: cfg.URL, host: cfg.HostA, agent: newAgent(), pair: p}
	p.b = &end{name: "b", url: cfg.PeerURL, host: cfg.HostB, pair: p}
	if cfg.Processes == 2 {
		p.startPeer()
		t.Cleanup(func() { p.b.process.kill() })
	} else {
		p.b.agent = newAgent()
	}
	return p
}

// startPeer starts the process of end b.
func (p *pair) startPeer() {
	p.Helper()
	process, err := startProcess(p.cfg.Prefix, p.cfg.Patience)
	if err != nil {
		p.Fatal(err)
	}
	p.b.process = process
}

// revivePeer starts a new peer process if the old one has ended, or is about to:
// a test that failed may have killed it and not waited.
func (p *pair) revivePeer() {
	if process := p.b.process; process != nil && (process.doomed || !process.alive()) {
		process.kill()
		p.startPeer()
	}
}

// begin opens a device at both ends for a test.
func (p *pair) begin(t *testing.T) {
	name := fnv.New64()
	name.Write([]byte(t.Name()))
	p.T, p.random = t, rand.New(rand.NewPCG(p.cfg.Seed, name.Sum64()))
	p.revivePeer()
	for _, e := range p.ends() {
		e.t = t
		e.before = takeFootprint.must(e, false)
	}
	for _, e := range p.ends() {
		p.open(e, e.url)
	}
}

// open opens the device of an end.
func (p *pair) open(e *end, url string) {
	p.Helper()
	caps, err := openDevice.on(e, openArgs{url, p.cfg.Patience, p.cfg.Faults})
	if err != nil {
		p.Fatalf("end %s: %v", e.name, err)
	}
	e.caps = caps
}

// end closes what the test left open, and checks that nothing remains of it at
// either end. It runs when the test failed, too, to make room for the next one.
func (p *pair) end() {
	p.close()
	p.revivePeer() // with a peer, as at the beginning, the footprints compare
	if p.Failed() {
		return // its own failure says more than what it left behind
	}
	for _, e := range p.ends() {
		p.compareFootprint(e, e.before)
	}
}

// close closes everything at both ends, the devices included.
func (p *pair) close() {
	for _, e := range p.ends() {
		left, err := closeEverything.on(e, false)
		switch {
		case errors.Is(err, errPeerProcess) && e.process.doomed: // killed by the test
		case err != nil:
			p.Errorf("end %s: close: %v", e.name, err)
		case len(left) > 0:
			p.Errorf("end %s: still open when everything the test made was closed:\n\t%s", e.name, strings.Join(left, "\n\t"))
		}
	}
	for _, e := range p.ends() {
		done := make(chan struct{})
		go func() { e.underWay.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(p.cfg.Patience):
			p.Errorf("end %s: a command is still under way after everything was closed", e.name)
		}
	}
}

// restartPeer kills the peer process, if it still runs, and starts another.
func (p *pair) restartPeer() {
	p.Helper()
	p.b.process.kill()
	p.startPeer()
	p.open(p.b, p.b.url)
}

// rounds scales a number of rounds by the configured effort; at least one.
func (p *pair) rounds(n int) int { return max(1, int(float64(n)*p.cfg.Effort)) }

// picked chooses among the cases of a test that goes through all of them: with an
// effort below 1 it picks that share, by the seed.
func (p *pair) picked() bool { return p.cfg.Effort >= 1 || p.random.Float64() < p.cfg.Effort }

// maxBytes is the longest message to be tested.
func (p *pair) maxBytes() int {
	return int(min(uint64(p.cfg.MaxBytes), p.a.caps.MaxMessageBytes, p.b.caps.MaxMessageBytes))
}

// pattern is one that no other part of the test uses.
func (p *pair) pattern() pattern { return pattern(p.random.Uint64()) }

// has reports whether both ends have an operation.
func (p *pair) has(op transport.Op) bool { return p.a.caps.Ops.Has(op) && p.b.caps.Ops.Has(op) }

// both returns those of the operations that both ends have.
func (p *pair) both(ops ...transport.Op) []transport.Op {
	return slices.DeleteFunc(ops, func(op transport.Op) bool { return !p.has(op) })
}

var addresses atomic.Uint32

// address is a free address to listen on at an end.
func (p *pair) address(network string, e *end) string {
	if network == "unix" {
		return fmt.Sprintf("@transporttest-%d-%d", os.Getpid(), addresses.Add(1))
	}
	return e.host + ":0"
}

// shape describes the connections of a test. 0 means the default.
type shape struct {
	conns                int // how many; 1
	sendDepth, recvDepth int // 64
	inline               int // InlineBytes
	shared               int // depth of a shared receive queue; 0: none
	oneQueue             bool
	extraDepth           int // of the completion queues, more than needed
}

const (
	usualDepth = 64
	// spareDepth is room in a completion queue for connections that come and go: a
	// closed one may give its room back only when the queue is polled.
	spareDepth = 32 * usualDepth
)

// station is an end with a protection domain and queues, ready to be connected.
type station struct {
	*end
	shape
	domain         handle
	sent, received queue // completions of what is posted here, and of receives
	shared         handle
}

// station gets an end ready for connections of the given shape.
func (e *end) station(s shape) station {
	e.t.Helper()
	s.conns = max(s.conns, 1)
	if s.sendDepth == 0 {
		s.sendDepth = usualDepth
	}
	if s.recvDepth == 0 {
		s.recvDepth = usualDepth
	}
	st := station{end: e, shape: s, domain: e.domain()}
	sends, receives := s.conns*s.sendDepth+s.extraDepth, s.conns*s.recvDepth+s.extraDepth
	if s.shared > 0 {
		receives = s.shared
	}
	if s.oneQueue {
		st.sent = e.queue(sends + receives)
		st.received = st.sent
	} else {
		st.sent, st.received = e.queue(sends), e.queue(receives)
	}
	if s.shared > 0 {
		st.shared = newShared.must(e, sharedArgs{st.domain, st.received.id, s.shared})
	}
	return st
}

// spec is the configuration of the station's connections.
func (s station) spec() connSpec {
	return connSpec{
		Network: s.pair.cfg.Network, Count: s.conns,
		Domain: s.domain, Sent: s.sent.id, Received: s.received.id, Shared: s.shared,
		SendDepth: s.sendDepth, RecvDepth: s.recvDepth, InlineBytes: s.inline,
	}
}

// alloc makes a region in the station's protection domain.
func (s station) alloc(size int, access transport.Access) region {
	s.t.Helper()
	return s.end.alloc(s.domain, size, access)
}

// filled makes a region with a pattern of its own.
func (s station) filled(size int, access transport.Access) (region, pattern) {
	s.t.Helper()
	r, content := s.alloc(size, access), s.pair.pattern()
	r.fill(0, size, content)
	return r, content
}

// link is a connection: a dialed, b accepted.
type link struct{ a, b side }

// side is one side of a connection.
type side struct {
	station
	conn connInfo
}

// reversed exchanges the sides.
func (l link) reversed() link { return link{l.b, l.a} }

// setUp is the outcome of setting connections up.
type setUp struct {
	dialed, accepted   []connInfo
	dialErr, acceptErr error
}

// setUp has end a dial and end b accept.
func (p *pair) setUp(a, b *end, from, to connSpec) (s setUp) {
	p.Helper()
	l := listen.must(b, listenArgs{to.Network, p.address(to.Network, b)})
	accepting := accept.start(b, acceptArgs{l.Listener, to})
	s.dialed, s.dialErr = dial.on(a, dialArgs{Address: l.Address, Spec: from})
	closeObject.must(b, l.Listener)
	s.accepted, s.acceptErr = accepting.wait()
	return s
}

// join connects two stations, as often as they have room for.
func (p *pair) join(a, b station) []link {
	p.Helper()
	return p.joinWith(a, b, a.spec(), b.spec())
}

// joinWith is join with specifications that differ from the stations' own.
func (p *pair) joinWith(a, b station, from, to connSpec) []link {
	p.Helper()
	s := p.setUp(a.end, b.end, from, to)
	if s.dialErr != nil || s.acceptErr != nil {
		a.fatalf("dial: %v; accept: %v", s.dialErr, s.acceptErr)
	}
	links := make([]link, len(s.dialed))
	for i := range links {
		links[i] = link{side{a, s.dialed[i]}, side{b, s.accepted[i]}}
	}
	return links
}

// connect makes one connection from end a to end b, with queues of its own.
func (p *pair) connect(s shape) link {
	p.Helper()
	return p.connectEnds(p.a, p.b, s)
}

// connectEnds is connect between any two ends, which may be the same one.
func (p *pair) connectEnds(a, b *end, s shape) link {
	p.Helper()
	s.conns = 1
	return p.join(a.station(s), b.station(s))[0]
}

// turned exchanges the sides in every other round.
func (l link) turned(round int) link {
	if round%2 == 1 {
		return l.reversed()
	}
	return l
}

// eachWay runs a test in both directions of a connection.
func (l link) eachWay(test func(l link)) {
	test(l)
	test(l.reversed())
}
