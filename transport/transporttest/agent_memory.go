package transporttest

import (
	"bytes"
	"fmt"

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

var fillMemory = define("fill", func(a *agent, args patternArgs) (none, error) {
	args.Pattern.fill(a.bytes(args.Place), args.From)
	return false, nil
})

var checkMemory = define("check", func(a *agent, args patternArgs) (none, error) {
	return false, args.Pattern.check(a.bytes(args.Place), args.From)
})

var peekMemory = define("peek", func(a *agent, p place) ([]byte, error) {
	return bytes.Clone(a.bytes(p)), nil
})

// framedArgs describe a payload with guard bytes before and after it: the whole
// of Frame but for the payload carries the pattern Guard.
type framedArgs struct {
	Frame          place
	Off, Len       int // of the payload, within Frame
	Guard, Payload pattern
	From           int // index of the payload's first byte in its pattern
}

var fillFramed = define("fill framed", func(a *agent, args framedArgs) (none, error) {
	mem, end := a.bytes(args.Frame), args.Off+args.Len
	args.Guard.fill(mem[:args.Off], 0)
	args.Payload.fill(mem[args.Off:end], args.From)
	args.Guard.fill(mem[end:], end)
	return false, nil
})

var checkFramed = define("check framed", func(a *agent, args framedArgs) (none, error) {
	mem, end := a.bytes(args.Frame), args.Off+args.Len
	if err := args.Guard.check(mem[:args.Off], 0); err != nil {
		return false, fmt.Errorf("the guard before the payload was touched: %w", err)
	}
	if err := args.Payload.check(mem[args.Off:end], args.From); err != nil {
		return false, fmt.Errorf("the payload is wrong: %w", err)
	}
	if err := args.Guard.check(mem[end:], end); err != nil {
		return false, fmt.Errorf("the guard after the payload was touched: %w", err)
	}
	return false, nil
})
