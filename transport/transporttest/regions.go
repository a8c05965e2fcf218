package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

var regionTests = []test{
	{"region/zeroed, page-aligned, of any size", needs{}, allocSizes},
	{"region/hundreds at once, each with a key of its own", needs{ops: transport.Ops(transport.OpWrite)}, manyRegions},
	{"region/one allocated after connecting works at once", needs{ops: transport.Ops(transport.OpWrite, transport.OpSend)}, lateRegions},
	{"region/spans of closed regions and other domains are refused", needs{}, foreignSpans},
	{"region/registered memory is the program's own", needs{}, registeredMemory},
	{"region/several peers read the same memory, each by a right of its own", needs{ops: transport.Ops(transport.OpRead)}, sharedMemory},
}

func allocSizes(p *pair) {
	page := os.Getpagesize()
	l := p.connect(shape{})
	for _, s := range []side{l.a, l.b} {
		for _, n := range []int{1, 2, 8, 100, page - 1, page, page + 1, 3*page - 1, 1<<20 + 1} {
			r := s.alloc(n, transport.RemoteAll)
			if r.whole.Addr%uint64(page) != 0 || int(r.whole.Len) != n {
				s.fatalf("a region of %d bytes is at %#x and %d bytes long", n, r.whole.Addr, r.whole.Len)
			}
			if got := peekMemory.must(s.end, r.all()); !bytes.Equal(got, make([]byte, n)) {
				s.fatalf("a region of %d bytes is not zeroed", n)
			}
			// What is dirty when it is closed must not show up in a later region.
			r.fill(0, n, pattern(n))
			r.close()
		}
		for _, n := range []int{0, -1} {
			if _, err := allocRegion.on(s.end, allocArgs{s.domain, n, transport.LocalOnly}); !errors.Is(err, transport.ErrInvalid) {
				s.fatalf("a region of %d bytes: %v", n, err)
			}
		}
	}
	// One region is as long as the longest message.
	if n := p.maxBytes(); n > 0 {
		l.a.alloc(n, transport.LocalOnly)
	}
}

// manyRegions writes a different payload to each of many small regions.
func manyRegions(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const size = 24
		from := l.a.alloc(size, transport.LocalOnly)
		regions := make([]region, p.rounds(300))
		keys := map[transport.RKey]bool{}
		for i := range regions {
			regions[i] = l.b.alloc(size, transport.RemoteWrite)
			keys[regions[i].whole.Key] = true
		}
		if len(keys) != len(regions) {
			l.b.fatalf("%d regions have %d different keys", len(regions), len(keys))
		}
		for i, r := range regions {
			from.fill(0, size, pattern(i))
			l.a.do(write(uint64(i), from.all(), r.remote(0, size)))
		}
		for i, r := range regions {
			r.expect(fmt.Sprintf("region %d of %d", i+1, len(regions)), 0, size, pattern(i))
			r.close()
		}
	})
}

// foreignSpans posts with local spans that the connection may not use. Nothing
// is taken, and the connection is as good as before.
func foreignSpans(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		closed := l.a.alloc(64, transport.LocalOnly)
		closed.close()
		foreign := l.a.end.alloc(l.a.end.domain(), 64, transport.LocalOnly)
		own := l.a.alloc(64, transport.LocalOnly)
		for what, mem := range map[string]place{"a closed region": closed.all(), "another domain's region": foreign.all()} {
			for i, requests := range [][]request{{send(1, mem)}, {send(1, own.all()).and(mem)}, {send(1, mem).and(own.all())}} {
				if n, err := l.a.tryPost(requests...); n != 0 || !errors.Is(err, transport.ErrInvalid) {
					l.a.fatalf("post %d with %s takes %d: %v", i, what, n, err)
				}
			}
			for i, requests := range [][]request{{recv(1, mem)}, {recv(1, own.all()).and(mem)}} {
				if n, err := l.a.tryPostRecv(requests...); n != 0 || !errors.Is(err, transport.ErrInvalid) {
					l.a.fatalf("post recv %d with %s takes %d: %v", i, what, n, err)
				}
			}
		}
		l.expectWorking("after posts with foreign spans")
	})
}

// lateArgs are those of the two commands of lateRegions.
type lateArgs struct {
	Loop          loopArgs
	Domain        handle
	Mail          place // where the other end's span is received, or sent from
	Rounds, Bytes int
	Seed          pattern
}

// offerRegions allocates a region, sends its remote span to the peer at once,
// waits for the peer's word that it wrote, checks, and closes the region.
var offerRegions = action("offer regions", func(a *agent, args lateArgs) {
	l, box := a.loop(args.Loop), get[*transport.Region](a, args.Mail.Region)
	d := get[*transport.ProtectionDomain](a, args.Domain)
	for l.step = range args.Rounds {
		r := must(d.Alloc(args.Bytes, transport.RemoteWrite))
		r.Remote(0, r.Len()).AppendTo(box.Bytes()[:0])
		l.postRecv(transport.Recv(1, transport.Span{}))
		l.post(transport.Send(2, box.Span(0, transport.RemoteSpanBytes)).With(transport.Signaled))
		l.expectSent(2)
		l.expectReceived(1)
		l.check((args.Seed + pattern(l.step)).check(r.Bytes(), 0))
		l.check(r.Close())
	}
})

// fillRegions is the other end of offerRegions.
var fillRegions = action("fill regions", func(a *agent, args lateArgs) {
	l, mail := a.loop(args.Loop), get[*transport.Region](a, args.Mail.Region)
	const head = transport.RemoteSpanBytes
	for l.step = range args.Rounds {
		l.postRecv(transport.Recv(1, mail.Span(0, head)))
		l.expectReceived(1)
		to, _ := transport.DecodeRemoteSpan(mail.Bytes())
		(args.Seed + pattern(l.step)).fill(mail.Bytes()[head:], 0)
		l.post(transport.Write(2, mail.Span(head, args.Bytes), to), transport.Send(3, transport.Span{}).With(transport.Signaled))
		l.expectSent(3)
	}
})

// lateRegions has one end allocate regions while the connection is up and hand
// their keys over through the connection itself.
func lateRegions(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const size = 5000
		box := l.a.alloc(transport.RemoteSpanBytes, transport.LocalOnly)
		mail := l.b.alloc(transport.RemoteSpanBytes+size, transport.LocalOnly)
		args := func(s side, r region) lateArgs {
			return lateArgs{s.loopArgs(), s.domain, r.all(), p.rounds(200), size, 11}
		}
		filling := fillRegions.start(l.b.end, args(l.b, mail))
		offerRegions.must(l.a.end, args(l.a, box))
		filling.must()
	})
}

// registerMapping registers anonymous memory, and closes the region again.
var registerMapping = action("register", func(a *agent, domain handle) {
	mem := mapMemory(3 * os.Getpagesize())
	defer unix.Munmap(mem)
	part := mem[100 : 100+os.Getpagesize()]
	pattern(1).fill(part, 0)
	r := must(get[*transport.ProtectionDomain](a, domain).Register(part, transport.RemoteAll))
	if &r.Bytes()[0] != &part[0] || r.Len() != len(part) {
		check(fmt.Errorf("%w: a registered region's Bytes are not the memory that was registered", errUnexpected))
	}
	check(r.Close())
	check(pattern(1).check(part, 0))
})

// mapMemory is memory of the program, for a command to register.
func mapMemory(bytes int) []byte {
	return must(unix.Mmap(-1, 0, bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE))
}

func registeredMemory(p *pair) {
	for _, e := range p.ends() {
		_, err := registerMapping.on(e, e.domain())
		switch has := e.caps.Features.Has(transport.FeatureRegister); {
		case has && err != nil:
			e.fatalf("register: %v", err)
		case !has && !errors.Is(err, transport.ErrNotSupported):
			e.fatalf("register, which is not among the capabilities: %v", err)
		}
	}
}

type shareArgs struct {
	Domain, Region handle
	Access         transport.Access
}

// shareRegion makes a region of another one's memory.
var shareRegion = define("share", func(a *agent, args shareArgs) (allocReply, error) {
	r, err := get[*transport.ProtectionDomain](a, args.Domain).Share(get[*transport.Region](a, args.Region), args.Access)
	if err != nil {
		return allocReply{}, err
	}
	return a.putRegion(r), nil
})

// sharedMemory has two peers read memory of a domain that is neither one's. What one of them
// may read ends without the other's noticing.
func sharedMemory(p *pair) {
	const size = 3000
	links := []link{p.connect(shape{}), p.connect(shape{})}
	owner := links[0].b.end
	memory := owner.alloc(owner.domain(), size, transport.LocalOnly)
	if _, err := shareRegion.on(owner, shareArgs{links[0].b.domain, memory.id, transport.RemoteWrite}); !errors.Is(err, transport.ErrInvalid) {
		owner.fatalf("memory shared for writing: %v", err)
	}
	writable := owner.alloc(owner.domain(), size, transport.RemoteWrite)
	if _, err := shareRegion.on(owner, shareArgs{links[0].b.domain, writable.id, transport.RemoteRead}); !errors.Is(err, transport.ErrInvalid) {
		owner.fatalf("shared memory that others write: %v", err)
	}
	writable.close()
	var shares [2]region
	for i, l := range links {
		reply := shareRegion.must(owner, shareArgs{l.b.domain, memory.id, transport.RemoteRead})
		shares[i] = region{owner, reply.Region, size, reply.Remote}
	}
	fetch := func(i int, want pattern) {
		l := links[i]
		into := l.a.alloc(size, transport.LocalOnly)
		l.a.do(read(1, into.all(), shares[i].remote(0, size)))
		into.expect("what was read", 0, size, want)
		into.close()
	}
	memory.fill(0, size, 5)
	fetch(0, 5)
	fetch(1, 5)
	memory.fill(0, size, 6)
	fetch(0, 6)
	shares[0].close()
	links[0].expectWorking("after its memory was closed")
	fetch(1, 6)
	// The owner's own requests may write it.
	from := links[1].a.alloc(size, transport.RemoteRead)
	from.fill(0, size, 7)
	links[1].b.do(read(1, shares[1].all(), from.remote(0, size)))
	fetch(1, 7)
	memory.expect("what the owner has read", 0, size, 7)
	memory.close() // with it the second one
	l := links[1]
	if _, err := l.b.tryPost(send(1, shares[1].all())); !errors.Is(err, transport.ErrInvalid) {
		owner.fatalf("post with memory whose owner has closed it: %v", err)
	}
	into := l.a.alloc(size, transport.LocalOnly)
	late := read(1, into.all(), shares[1].remote(0, size))
	l.a.post(late)
	l.a.expectSent(ended(late, transport.StatusRemoteAccess))
}
