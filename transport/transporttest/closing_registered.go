package transporttest

import (
	"bytes"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

type registerArgs struct {
	Domain handle
	Bytes  int
}

// mapAndRegister registers memory, which outlives its region.
var mapAndRegister = define("map and register", func(a *agent, args registerArgs) (allocReply, error) {
	mem := mapMemory(args.Bytes)
	r, err := get[*transport.ProtectionDomain](a, args.Domain).Register(mem, transport.RemoteAll)
	if err != nil {
		unix.Munmap(mem)
		return allocReply{}, err
	}
	return a.putRegion(r), nil
})

// closeAndWatch closes a registered region, checks that its memory does not
// change any more, and unmaps it.
var closeAndWatch = action("close region and watch", func(a *agent, h handle) {
	r := get[*transport.Region](a, h)
	mem := r.Bytes()
	check(r.Close())
	defer unix.Munmap(mem)
	before := bytes.Clone(mem)
	time.Sleep(look / 2)
	if !bytes.Equal(before, mem) {
		check(fmt.Errorf("%w: the memory of a region changed after Region.Close had returned", errUnexpected))
	}
})

// registeredUnderFire closes registered regions while a peer writes them, and
// looks at their memory afterwards.
func registeredUnderFire(p *pair) {
	for round := range p.rounds(10) {
		l := p.connect(shape{sendDepth: fireDepth}).turned(round)
		registered := mapAndRegister.must(l.b.end, registerArgs{l.b.domain, (fireDepth + 1) * fireBytes})
		l.fire(registered.Remote, time.Millisecond, func() { closeAndWatch.must(l.b.end, registered.Region) })
	}
}
