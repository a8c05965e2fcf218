package transporttest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

var setupTests = []test{
	{"setup/capabilities make sense", needs{}, capabilitiesMakeSense},
	{"setup/both ends get each other's private data", needs{}, privateData},
	{"setup/either end can refuse", needs{}, refusal},
	{"setup/a silent peer is given up", needs{}, silentPeer},
	{"setup/depths up to the limit, none beyond", needs{}, depthLimits},
	{"setup/a queue without room refuses a connection", needs{}, queueWithoutRoom},
	{"setup/a stream that passes no descriptors is refused by who needs them", needs{features: transport.FeatureUnixSocket}, wrongStream},
	{"setup/a device connects to itself", needs{}, connectToItself},
}

func capabilitiesMakeSense(p *pair) {
	for _, e := range p.ends() {
		c := e.caps
		check := func(ok bool, what string) {
			if !ok {
				p.Errorf("end %s: %s: %+v", e.name, what, c)
			}
		}
		check(c.Wire != "", "Wire is empty")
		check(c.Ops&transport.Ops(transport.OpSend, transport.OpWrite, transport.OpWriteImm) != 0, "it can neither send nor write")
		check(!c.Ops.Has(transport.OpSend) || c.Ops.Has(transport.OpRecv), "it can send, but not receive")
		check(!c.Ops.Has(transport.OpWriteImm) || c.Ops.Has(transport.OpRecvImm), "it can write with immediate data, but not receive it")
		check(c.MaxMessageBytes > 0 && c.MaxSendDepth > 0 && c.MaxRecvDepth > 0, "a limit is 0")
		check(uint64(c.MaxInlineBytes) <= c.MaxMessageBytes, "MaxInlineBytes is more than MaxMessageBytes")
		check(c.MaxQueueDepth >= c.MaxSendDepth && c.MaxQueueDepth >= c.MaxRecvDepth, "MaxQueueDepth has no room for one full connection")
	}
	if p.a.caps.Wire != p.b.caps.Wire {
		p.Errorf("the ends speak %q and %q", p.a.caps.Wire, p.b.caps.Wire)
	}
}

func privateData(p *pair) {
	for _, n := range []int{0, 1, transport.MaxPrivateData} {
		a, b := p.a.station(shape{}), p.b.station(shape{})
		specA, specB := a.spec(), b.spec()
		specA.Private, specB.Private = make([]byte, n), make([]byte, n)
		pattern(n).fill(specA.Private, 0)
		pattern(n+1).fill(specB.Private, 0)
		l := p.joinWith(a, b, specA, specB)[0]
		dialed, accepted := l.a.conn, l.b.conn
		if !bytes.Equal(dialed.Private, specB.Private) || !bytes.Equal(accepted.Private, specA.Private) {
			p.Fatalf("%d bytes of private data arrived as %d and %d bytes, or not as sent", n, len(dialed.Private), len(accepted.Private))
		}
		if dialed.Provider == "" || accepted.Provider == "" {
			p.Fatalf("the peers' providers are %q and %q", dialed.Provider, accepted.Provider)
		}
		if p.cfg.Network == "unix" {
			pid := os.Getpid()
			if p.b.process != nil {
				pid = p.b.process.pid
			}
			if dialed.PeerPID != pid || accepted.PeerPID != os.Getpid() {
				p.Fatalf("the kernel vouches for processes %d and %d; they are %d and %d", dialed.PeerPID, accepted.PeerPID, pid, os.Getpid())
			}
		}
		l.expectWorking("after an exchange of private data")
	}
	a, b := p.a.station(shape{}), p.b.station(shape{})
	spec := a.spec()
	spec.Private = make([]byte, transport.MaxPrivateData+1)
	if s := p.setUp(p.a, p.b, spec, b.spec()); !errors.Is(s.dialErr, transport.ErrOutOfRange) {
		p.Fatalf("dial with too much private data: %v", s.dialErr)
	}
}

func refusal(p *pair) {
	const reason = "not on a Sunday"
	s := shape{extraDepth: spareDepth}
	a, b := p.a.station(s), p.b.station(s)
	try := func(who string, specA, specB connSpec) (acceptErr error) {
		s := p.setUp(p.a, p.b, specA, specB)
		if !errors.Is(s.dialErr, transport.ErrRejected) || !strings.Contains(s.dialErr.Error(), reason) {
			p.Fatalf("%s refuses: the dialer gets %v", who, s.dialErr)
		}
		return s.acceptErr
	}
	denyA, denyB, reject := a.spec(), b.spec(), b.spec()
	denyA.Deny, denyB.Deny, reject.Reject = reason, reason, reason

	try("the listener's program", a.spec(), reject)
	if err := try("the listener's Authorize", a.spec(), denyB); !errors.Is(err, transport.ErrRejected) {
		p.Fatalf("the listener's Authorize refuses: Accept gets %v", err)
	}
	if err := try("the dialer's Authorize", denyA, b.spec()); !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), reason) {
		p.Fatalf("the dialer's Authorize refuses: Accept gets %v", err)
	}
	p.join(a, b)[0].expectWorking("after refusals, with the same queues")
}

// silentPeer dials a peer that accepts the stream and stays silent.
func silentPeer(p *pair) {
	silent, err := net.Listen(p.cfg.Network, p.address(p.cfg.Network, p.a))
	if err != nil {
		p.Fatal(err)
	}
	defer silent.Close()
	a := p.a.station(shape{extraDepth: spareDepth})
	_, err = dial.on(p.a, dialArgs{Address: silent.Addr().String(), Spec: a.spec(), Timeout: 30 * time.Millisecond})
	if !errors.Is(err, context.DeadlineExceeded) {
		p.Fatalf("dial to a silent peer: %v", err)
	}
	p.join(a, p.b.station(shape{}))[0].expectWorking("after a dial that timed out")
}

func depthLimits(p *pair) {
	// The most that both ends promise, as far as a test should go with memory.
	const enough = 1 << 14
	sends := int(min(p.a.caps.MaxSendDepth, p.b.caps.MaxSendDepth, enough))
	receives := int(min(p.a.caps.MaxRecvDepth, p.b.caps.MaxRecvDepth, enough))
	inline := min(p.maxInline(), enough)
	p.connect(shape{sendDepth: sends, recvDepth: receives, inline: inline}).expectWorking("with the greatest depths")
	p.connect(shape{sendDepth: 1, recvDepth: 1}).a.post(send(1, place{}))

	for _, e := range p.ends() {
		usual := e.station(shape{}).spec()
		sending, receiving, inlining := usual, usual, usual
		sending.SendDepth = int(e.caps.MaxSendDepth) + 1
		receiving.RecvDepth = int(e.caps.MaxRecvDepth) + 1
		inlining.InlineBytes = int(e.caps.MaxInlineBytes) + 1
		for what, spec := range map[string]connSpec{"SendDepth": sending, "RecvDepth": receiving, "InlineBytes": inlining} {
			if s := p.setUp(e, e, spec, usual); !errors.Is(s.dialErr, transport.ErrOutOfRange) {
				e.fatalf("dial with %s over the limit: %v", what, s.dialErr)
			}
		}
		for _, depth := range []int{0, -1, int(e.caps.MaxQueueDepth) + 1} {
			if _, err := newQueue.on(e, depth); !errors.Is(err, transport.ErrOutOfRange) {
				e.fatalf("queue of depth %d: %v", depth, err)
			}
		}
	}
}

// queueWithoutRoom offers connections to completion queues that are too small
// for them, at either end, and connects once there is room.
func queueWithoutRoom(p *pair) {
	roomy := shape{extraDepth: 2 * usualDepth}
	tight := shape{extraDepth: -1}
	try := func(a, b station) setUp { return p.setUp(a.end, b.end, a.spec(), b.spec()) }
	refused := func(a, b station, with string) {
		if s := try(a, b); !errors.Is(s.dialErr, transport.ErrOutOfRange) {
			p.Fatalf("dial with %s: %v", with, s.dialErr)
		}
	}
	refused(p.a.station(tight), p.b.station(roomy), "a queue that is too small by one")
	s := try(p.a.station(roomy), p.b.station(tight))
	if !errors.Is(s.acceptErr, transport.ErrOutOfRange) || !errors.Is(s.dialErr, transport.ErrRejected) {
		p.Fatalf("accept with a queue that is too small by one: %v; the dialer gets %v", s.acceptErr, s.dialErr)
	}

	// A queue with room for exactly one connection takes the next one when the
	// first is closed and its completions have been polled.
	a, b := p.a.station(shape{}), p.b.station(roomy)
	first := p.join(a, b)[0]
	refused(a, b, "a queue that another connection has filled")
	held := emptySends(1, 2)
	first.a.post(held...)
	first.a.postRecv(recv(3, place{}))
	first.a.close()
	refused(a, b, "a queue in which flushed completions of a closed connection are")
	first.a.expectSent(flushed(held...)...)
	first.a.expectReceived(flushed(recv(3, place{}))...)
	err := until(p.cfg.Patience, "room in the queue of a closed connection", func() bool {
		first.a.expectNone("after the flush")
		return try(a, b).dialErr == nil
	})
	if err != nil {
		p.Fatal(err)
	}
}

func connectToItself(p *pair) {
	for _, e := range p.ends() {
		p.connectEnds(e, e, shape{}).expectWorking("connection of a device to itself")
	}
}

// wrongStream tries to connect over TCP where that cannot work.
func wrongStream(p *pair) {
	a, b := p.a.station(shape{extraDepth: spareDepth}), p.b.station(shape{extraDepth: spareDepth})
	from, to := a.spec(), b.spec()
	from.Network, to.Network = "tcp", "tcp"
	s := p.setUp(p.a, p.b, from, to)
	said := errors.Is(s.dialErr, transport.ErrNotSupported) || errors.Is(s.acceptErr, transport.ErrNotSupported)
	if !said || s.dialErr == nil || s.acceptErr == nil {
		p.Fatalf("over TCP, dial: %v; accept: %v", s.dialErr, s.acceptErr)
	}
	p.join(a, b)[0].expectWorking("after a set-up over the wrong kind of stream")
}
