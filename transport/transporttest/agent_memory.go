package transporttest

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"github.com/rfaas-go/rfaas/transport"
)

var newDomain = define("new protection domain", func(a *agent, _ none) (handle, error) {
	return a.put(must(a.dev.NewProtectionDomain())), nil
})

type allocArgs struct {
	Domain handle
	Bytes  int
	Access transport.Access
}

type allocReply struct {
	Region handle
	Remote transport.RemoteSpan // of the whole region
}

var allocRegion = define("alloc", func(a *agent, args allocArgs) (allocReply, error) {
	return a.putRegion(must(get[*transport.ProtectionDomain](a, args.Domain).Alloc(args.Bytes, args.Access))), nil
})

func (a *agent) putRegion(r *transport.Region) allocReply {
	return allocReply{a.put(r), r.Remote(0, r.Len())}
}

// bytes is the memory of a place.
func (a *agent) bytes(p place) []byte {
	return get[*transport.Region](a, p.Region).Bytes()[p.Off : p.Off+p.Len]
}

type patternArgs struct {
	Place   place
	Pattern pattern
	From    int // index of the pattern's first byte
}

var fillMemory = action("fill", func(a *agent, args patternArgs) {
	args.Pattern.fill(a.bytes(args.Place), args.From)
})

var checkMemory = action("check", func(a *agent, args patternArgs) {
	check(args.Pattern.check(a.bytes(args.Place), args.From))
})

var peekMemory = define("peek", func(a *agent, p place) ([]byte, error) {
	return bytes.Clone(a.bytes(p)), nil
})

// wordAt is the 64-bit word of a place.
func (a *agent) wordAt(p place) *atomic.Uint64 {
	return get[*transport.Region](a, p.Region).Uint64(p.Off)
}

var loadWord = define("load word", func(a *agent, p place) (uint64, error) { return a.wordAt(p).Load(), nil })

type storeArgs struct {
	Place place
	Value uint64
}

var storeWord = action("store word", func(a *agent, args storeArgs) {
	a.wordAt(args.Place).Store(args.Value)
})

// framedArgs describe a payload with guard bytes before and after it: the whole
// of Frame but for the payload carries the pattern Guard.
type framedArgs struct {
	Frame          place
	Off, Len       int // of the payload, within Frame
	Guard, Payload pattern
	From           int // index of the payload's first byte in its pattern
}

var fillFramed = action("fill framed", func(a *agent, args framedArgs) {
	mem, end := a.bytes(args.Frame), args.Off+args.Len
	args.Guard.fill(mem[:args.Off], 0)
	args.Payload.fill(mem[args.Off:end], args.From)
	args.Guard.fill(mem[end:], end)
})

var checkFramed = action("check framed", func(a *agent, args framedArgs) {
	mem, end := a.bytes(args.Frame), args.Off+args.Len
	for _, part := range []struct {
		err  error
		what string
	}{
		{args.Guard.check(mem[:args.Off], 0), "the guard before the payload was touched"},
		{args.Payload.check(mem[args.Off:end], args.From), "the payload is wrong"},
		{args.Guard.check(mem[end:], end), "the guard after the payload was touched"},
	} {
		if part.err != nil {
			check(fmt.Errorf("%s: %w", part.what, part.err))
		}
	}
})
