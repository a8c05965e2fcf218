package transporttest

import (
	"errors"
	"slices"

	"github.com/rfaas-go/rfaas/transport"
)

var queueTests = []test{
	{"queue/a post longer than the stage and the queue is taken piece by piece", needs{ops: transport.Ops(transport.OpWrite)}, longPosts},
	{"queue/no more than SendDepth requests, until completions were polled", needs{ops: transport.Ops(transport.OpSend), exact: true}, sendQueueFull},
	{"queue/no more than RecvDepth receives, until completions were polled", needs{ops: transport.Ops(transport.OpSend), exact: true}, recvQueueFull},
	{"queue/unsignaled requests complete silently", needs{ops: transport.Ops(transport.OpWrite), exact: true}, unsignaled},
	{"queue/unsignaled requests occupy the queue until a later completion was polled", needs{ops: transport.Ops(transport.OpWrite), exact: true}, unsignaledEntries},
	{"queue/a completion queue filled to the brim loses nothing", needs{ops: transport.Ops(transport.OpSend)}, brimfulQueue},
	{"queue/Poll takes as much as there is room for", needs{ops: transport.Ops(transport.OpWrite)}, pollRoom},
	{"queue/an invalid request is refused, those before it are done", needs{}, invalidRequests},
}

func longPosts(p *pair) {
	const depth = 150 // more than what the front stages, and no multiple of it
	p.connect(shape{sendDepth: depth}).eachWay(func(l link) {
		const size = 8
		n := 2*depth + 7
		from, payload := l.a.filled(n*size, transport.LocalOnly)
		to := l.b.alloc(n*size, transport.RemoteWrite)
		requests := ids(0, n, func(id uint64) request {
			off := int(id) * size
			return write(id, from.at(off, size), to.remote(off, size))
		})
		for left := requests; len(left) > 0; {
			taken, err := l.a.tryPost(left...)
			if err != nil && !errors.Is(err, transport.ErrQueueFull) || err == nil && taken != len(left) {
				l.a.fatalf("post took %d of %d: %v", taken, len(left), err)
			}
			if p.cfg.Faults == FaultsNone && taken != min(depth, len(left)) {
				l.a.fatalf("post took %d of %d into an empty queue of depth %d: %v", taken, len(left), depth, err)
			}
			l.a.expectSent(done(left[:taken]...)...)
			left = left[taken:]
		}
		to.expect("what a long post wrote", 0, n*size, payload)
	})
}

// expectFull checks that no further request is taken.
func expectFull(s side, what string, post func(...request) (int, error), r request) {
	if n, err := post(r, r); n != 0 || !errors.Is(err, transport.ErrQueueFull) {
		s.fatalf("%s: a further post takes %d: %v", what, n, err)
	}
}

var someDepths = []int{1, 2, 37}

// expectDepth fills a queue of a depth, and checks that there is room for another
// request when one is done and its completion was polled, not earlier.
func (s side) expectDepth(depth int, requests []request, post func(...request) (int, error), complete func(), poll func(r request)) {
	if n, err := post(requests...); n != depth || !errors.Is(err, transport.ErrQueueFull) {
		s.fatalf("post of %d takes %d with a queue of depth %d: %v", len(requests), n, depth, err)
	}
	next := requests[depth]
	expectFull(s, "queue full", post, next)
	complete()
	expectFull(s, "completion not polled", post, next)
	poll(requests[0])
	if n, err := post(next); n != 1 || err != nil {
		s.fatalf("after a completion was polled, a post takes %d: %v", n, err)
	}
	expectFull(s, "full again", post, next)
	for _, r := range requests[1 : depth+1] {
		complete()
		poll(r)
	}
}

// sendQueueFull has sends without a receive stay where they are.
func sendQueueFull(p *pair) {
	for _, depth := range someDepths {
		p.connect(shape{sendDepth: depth}).eachWay(func(l link) {
			l.a.expectDepth(depth, emptySends(1, depth+3), l.a.tryPost, func() {
				l.b.postRecv(recv(1, place{}))
				l.b.expectReceived(received(1, 0))
			}, func(r request) { l.a.expectSent(done(r)...) })
		})
	}
}

func recvQueueFull(p *pair) {
	for _, depth := range someDepths {
		expect := func(l link) {
			l.b.expectDepth(depth, emptyRecvs(1, depth+3), l.b.tryPostRecv,
				func() { l.a.do(send(1, place{})) },
				func(r request) { l.b.expectReceived(received(r.ID, 0)) })
		}
		p.connect(shape{recvDepth: depth}).eachWay(expect)
		shared := transport.FeatureSharedReceive
		if p.a.caps.Features.Has(shared) && p.b.caps.Features.Has(shared) {
			p.connect(shape{shared: depth}).eachWay(expect)
		}
	}
}

func unsignaled(p *pair) {
	const depth = 16
	p.connect(shape{sendDepth: depth}).eachWay(func(l link) {
		from, payload := l.a.filled(8, transport.LocalOnly)
		to := l.b.alloc(8*depth, transport.RemoteWrite)
		one := func(id uint64) request { return write(id, from.all(), to.remote(int(id%depth)*8, 8)) }
		for round := range 10 {
			quiet := ids(round*depth, depth-1, func(id uint64) request { return one(id).quiet() })
			last := one(uint64(round*depth + depth - 1))
			l.a.post(quiet...)
			l.a.sent.expectNone("unsignaled requests")
			l.a.post(last)
			l.a.expectSent(done(last)...)
			l.a.sent.expectNone("after unsignaled requests")
		}
		for i := range depth {
			to.expect("unsignaled write", i*8, 8, payload)
		}
	})
}

// unsignaledEntries posts unsignaled requests and polls without a completion. A
// program that never asks for a completion gets stuck, with every provider.
func unsignaledEntries(p *pair) {
	const depth = 16
	p.connect(shape{sendDepth: depth}).eachWay(func(l link) {
		one := func(id uint64) request { return write(id, place{}, transport.RemoteSpan{}) }
		for range 3 {
			l.a.post(ids(0, depth-1, func(id uint64) request { return one(id).quiet() })...)
			l.a.sent.expectNone("unsignaled requests")
			l.a.post(one(depth))
			expectFull(l.a, "after as many requests as SendDepth, no completion polled", l.a.tryPost, one(depth+1))
			l.a.expectSent(done(one(depth))...)
		}
	})
}

// brimfulQueue has several connections fill the completion queues of both ends
// completely before the first poll.
func brimfulQueue(p *pair) {
	const conns, depth = 5, 40
	s := shape{conns: conns, sendDepth: depth, recvDepth: depth}
	links := p.join(p.a.station(s), p.b.station(s))
	for round := range 4 {
		for _, l := range links {
			l.b.postRecv(emptyRecvs(0, depth)...)
		}
		for _, l := range links {
			l.a.post(emptySends(0, depth)...)
		}
		// When one side's completions have all come, the other side's queue is full.
		queues := []queue{links[0].a.sent, links[0].b.received}
		if round%2 == 1 {
			slices.Reverse(queues)
		}
		for _, q := range queues {
			next := map[uint32]uint64{}
			got, err := collectCompletions.on(q.end, collectArgs{Queue: q.id, N: conns * depth, Chunk: 7})
			if err != nil {
				q.fatalf("a queue filled to the brim: %v", err)
			}
			for _, c := range got {
				if c.Status != transport.StatusOK || c.ID != next[c.Conn] {
					q.fatalf("a queue filled to the brim has, where request %d was due: %+v", next[c.Conn], c)
				}
				next[c.Conn]++
			}
			q.expectNone("a queue filled to the brim, after all was polled")
		}
	}
}

func pollRoom(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const n = 10
		requests := ids(1, n, func(id uint64) request { return write(id, place{}, transport.RemoteSpan{}) })
		l.a.post(requests...)
		if got := pollOnce.must(l.a.end, pollArgs{l.a.sent.id, 0}); len(got) != 0 {
			l.a.fatalf("Poll without room returned %d completions", len(got))
		}
		l.a.expectSent(done(requests[:1]...)...)
		l.a.expectSent(done(requests[1:4]...)...)
		l.a.expectSent(done(requests[4:]...)...)
		l.a.sent.expectNone("all were polled")
	})
}
