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
		l := listen.must(p.b, listenArgs{p.cfg.Network, p.address(p.b)})
		fromA, fromB := make([]byte, n), make([]byte, n)
		pattern(n).fill(fromA, 0)
		pattern(n+1).fill(fromB, 0)
		specA, specB := a.spec(), b.spec()
		specA.Private, specB.Private = fromA, fromB
		accepting := accept.start(p.b, acceptArgs{Listener: l.Listener, Spec: specB, Count: 1})
		dialed := dial.must(p.a, dialArgs{Network: p.cfg.Network, Address: l.Address, Spec: specA, Count: 1})[0]
		accepted := accepting.must()[0]
		if !bytes.Equal(dialed.Private, fromB) || !bytes.Equal(accepted.Private, fromA) {
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
		link{side{a, dialed}, side{b, accepted}}.expectWorking("after an exchange of private data")
	}
	a := p.a.station(shape{})
	spec := a.spec()
	spec.Private = make([]byte, transport.MaxPrivateData+1)
	l := listen.must(p.b, listenArgs{p.cfg.Network, p.address(p.b)})
	if _, err := dial.on(p.a, dialArgs{Network: p.cfg.Network, Address: l.Address, Spec: spec, Count: 1}); !errors.Is(err, transport.ErrOutOfRange) {
		p.Fatalf("dial with too much private data: %v", err)
	}
}

func refusal(p *pair) {
	const reason = "not on a Sunday"
	s := shape{extraDepth: spareDepth}
	a, b := p.a.station(s), p.b.station(s)
	l := listen.must(p.b, listenArgs{p.cfg.Network, p.address(p.b)})
	try := func(who string, specA, specB connSpec, reject string) (dialErr, acceptErr error) {
		accepting := accept.start(p.b, acceptArgs{Listener: l.Listener, Spec: specB, Count: 1, Reject: reject})
		_, dialErr = dial.on(p.a, dialArgs{Network: p.cfg.Network, Address: l.Address, Spec: specA, Count: 1})
		_, acceptErr = accepting.wait()
		if !errors.Is(dialErr, transport.ErrRejected) || !strings.Contains(dialErr.Error(), reason) {
			p.Fatalf("%s refuses: the dialer gets %v", who, dialErr)
		}
		return dialErr, acceptErr
	}
	denyA, denyB := a.spec(), b.spec()
	denyA.Deny, denyB.Deny = reason, reason

	try("the listener's program", a.spec(), b.spec(), reason)
	if _, err := try("the listener's Authorize", a.spec(), denyB, ""); !errors.Is(err, transport.ErrRejected) {
		p.Fatalf("the listener's Authorize refuses: Accept gets %v", err)
	}
	if _, err := try("the dialer's Authorize", denyA, b.spec(), ""); !errors.Is(err, transport.ErrRejected) || !strings.Contains(err.Error(), reason) {
		p.Fatalf("the dialer's Authorize refuses: Accept gets %v", err)
	}
	p.join(a, b)[0].expectWorking("after refusals, with the same queues")
}

// silentPeer dials a peer that accepts the stream and stays silent.
func silentPeer(p *pair) {
	silent, err := net.Listen(p.cfg.Network, p.address(p.a))
	if err != nil {
		p.Fatal(err)
	}
	defer silent.Close()
	a := p.a.station(shape{extraDepth: spareDepth})
	const timeout = 30 * time.Millisecond
	_, err = dial.on(p.a, dialArgs{Network: p.cfg.Network, Address: silent.Addr().String(), Spec: a.spec(), Count: 1, Timeout: timeout})
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
		usual := e.station(shape{})
		refused := func(what string, spec connSpec) {
			l := listen.must(e, listenArgs{p.cfg.Network, p.address(e)})
			if _, err := dial.on(e, dialArgs{Network: p.cfg.Network, Address: l.Address, Spec: spec, Count: 1}); !errors.Is(err, transport.ErrOutOfRange) {
				e.fatalf("dial with %s: %v", what, err)
			}
			closeListener.must(e, l.Listener)
		}
		deep := usual.spec()
		deep.SendDepth = int(e.caps.MaxSendDepth) + 1
		refused("SendDepth over the limit", deep)
		deep = usual.spec()
		deep.RecvDepth = int(e.caps.MaxRecvDepth) + 1
		refused("RecvDepth over the limit", deep)
		deep = usual.spec()
		deep.InlineBytes = int(e.caps.MaxInlineBytes) + 1
		refused("InlineBytes over the limit", deep)
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
	dialTo := func(a, b station) (dialErr, acceptErr error) {
		l := listen.must(b.end, listenArgs{p.cfg.Network, p.address(b.end)})
		accepting := accept.start(b.end, acceptArgs{Listener: l.Listener, Spec: b.spec(), Count: 1})
		_, dialErr = dial.on(a.end, dialArgs{Network: p.cfg.Network, Address: l.Address, Spec: a.spec(), Count: 1})
		closeListener.must(b.end, l.Listener)
		_, acceptErr = accepting.wait()
		return dialErr, acceptErr
	}
	if err, _ := dialTo(p.a.station(tight), p.b.station(roomy)); !errors.Is(err, transport.ErrOutOfRange) {
		p.Fatalf("dial with a queue that is too small by one: %v", err)
	}
	err, acceptErr := dialTo(p.a.station(roomy), p.b.station(tight))
	if !errors.Is(acceptErr, transport.ErrOutOfRange) || !errors.Is(err, transport.ErrRejected) {
		p.Fatalf("accept with a queue that is too small by one: %v; the dialer gets %v", acceptErr, err)
	}

	// A queue with room for exactly one connection takes the next one when the
	// first is closed and its completions have been polled.
	a, b := p.a.station(shape{}), p.b.station(shape{extraDepth: 2 * usualDepth})
	first := p.join(a, b)[0]
	if err, _ := dialTo(a, b); !errors.Is(err, transport.ErrOutOfRange) {
		p.Fatalf("dial with a queue that another connection has filled: %v", err)
	}
	held := []request{send(1, place{}), send(2, place{})}
	first.a.post(held...)
	first.a.postRecv(recv(3, place{}))
	first.a.close()
	if err, _ := dialTo(a, b); !errors.Is(err, transport.ErrOutOfRange) {
		p.Fatalf("dial before the flushed completions of a closed connection were polled: %v", err)
	}
	first.a.expectSent(flushed(held...)...)
	first.a.expectReceived(flushed(recv(3, place{}))...)
	err = until(p.cfg.Patience, "room in the queue of a closed connection", func() bool {
		a.sent.expectNone("after the flush")
		a.received.expectNone("after the flush")
		err, _ := dialTo(a, b)
		return err == nil
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
	l := listen.must(p.b, listenArgs{"tcp", p.b.host + ":0"})
	accepting := accept.start(p.b, acceptArgs{Listener: l.Listener, Spec: b.spec(), Count: 1})
	_, err := dial.on(p.a, dialArgs{Network: "tcp", Address: l.Address, Spec: a.spec(), Count: 1})
	closeListener.must(p.b, l.Listener)
	_, acceptErr := accepting.wait()
	if !errors.Is(err, transport.ErrNotSupported) && !errors.Is(acceptErr, transport.ErrNotSupported) {
		p.Fatalf("over TCP, dial: %v; accept: %v", err, acceptErr)
	}
	if err == nil || acceptErr == nil {
		p.Fatalf("over TCP, dial: %v; accept: %v", err, acceptErr)
	}
	p.join(a, b)[0].expectWorking("after a set-up over the wrong kind of stream")
}
