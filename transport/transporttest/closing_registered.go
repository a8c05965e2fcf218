package transporttest

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// mapping is memory of the program.
type mapping []byte

type registerArgs struct {
	Domain handle
	Bytes  int
}

type registerReply struct {
	Mapping handle
	Region  allocReply
}

// mapAndRegister registers a mapping, which outlives its region.
var mapAndRegister = define("map and register", func(a *agent, args registerArgs) (registerReply, error) {
	d, err := get[*transport.ProtectionDomain](a, args.Domain)
	if err != nil {
		return registerReply{}, err
	}
	mem, err := unix.Mmap(-1, 0, args.Bytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return registerReply{}, err
	}
	r, err := d.Register(mem, transport.RemoteAll)
	if err != nil {
		unix.Munmap(mem)
		return registerReply{}, err
	}
	return registerReply{a.put(mapping(mem)), allocReply{a.put(r), r.Remote(0, r.Len())}}, nil
})

type quietArgs struct{ Region, Mapping handle }

// closeAndWatch closes a registered region, checks that its memory does not
// change any more, and unmaps it.
var closeAndWatch = define("close region and watch", func(a *agent, args quietArgs) (none, error) {
	r, err := get[*transport.Region](a, args.Region)
	if err != nil {
		return false, err
	}
	mem, err := get[mapping](a, args.Mapping)
	if err != nil {
		return false, err
	}
	if err := r.Close(); err != nil {
		return false, err
	}
	before := bytes.Clone(mem)
	time.Sleep(look / 2)
	if !bytes.Equal(before, mem) {
		err = fmt.Errorf("%w: the memory of a region changed after Region.Close had returned", errUnexpected)
	}
	unix.Munmap(mem)
	return false, err
})

// registeredUnderFire closes registered regions while a peer writes them, and
// looks at their memory afterwards.
func registeredUnderFire(p *pair) {
	const size, depth = 4096, 16
	for round := range p.rounds(10) {
		l := p.connect(shape{sendDepth: depth})
		if round%2 == 1 {
			l = l.reversed()
		}
		registered := mapAndRegister.must(l.b.end, registerArgs{l.b.domain, (depth + 1) * size})
		stream := l.a.stream(transport.OpWrite, l.a.streamMemory(size, transport.LocalOnly), registered.Region.Remote, size, 0, 0)
		p.dally(time.Millisecond)
		closeAndWatch.must(l.b.end, quietArgs{registered.Region.Region, registered.Mapping})
		if r := stream.must(); r.Failure.Status != transport.StatusRemoteAccess {
			l.a.fatalf("the stream of writes to a region that was closed ended with: %v", r.Failure.Err())
		}
	}
}
