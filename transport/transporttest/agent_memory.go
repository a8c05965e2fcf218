package transporttest

import (
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

var newDomain = define("new protection domain", func(a *agent, _ none) (handle, error) {
	d, err := a.dev.NewProtectionDomain()
	if err != nil {
		return 0, err
	}
	return a.put(d), nil
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
	d, err := get[*transport.ProtectionDomain](a, args.Domain)
	if err != nil {
		return allocReply{}, err
	}
	r, err := d.Alloc(args.Bytes, args.Access)
	if err != nil {
		return allocReply{}, err
	}
	return allocReply{a.put(r), r.Remote(0, r.Len())}, nil
})

// closeRegion closes a region, which can still be named afterwards.
var closeRegion = define("close region", func(a *agent, h handle) (none, error) {
	r, err := get[*transport.Region](a, h)
	if err == nil {
		err = r.Close()
	}
	return false, err
})

// bytes is the memory of a place.
func (a *agent) bytes(p place) ([]byte, error) {
	r, err := get[*transport.Region](a, p.Region)
	if err != nil {
		return nil, err
	}
	if p.Off < 0 || p.Len < 0 || p.Off+p.Len > r.Len() {
		return nil, fmt.Errorf("a place [%d:+%d] in a region of %d bytes", p.Off, p.Len, r.Len())
	}
	return r.Bytes()[p.Off : p.Off+p.Len], nil
}

type patternArgs struct {
	Place   place
	Pattern pattern
	From    int // index of the pattern's first byte
}

var fillMemory = define("fill", func(a *agent, args patternArgs) (none, error) {
	mem, err := a.bytes(args.Place)
	if err == nil {
		args.Pattern.fill(mem, args.From)
	}
	return false, err
})

var checkMemory = define("check", func(a *agent, args patternArgs) (none, error) {
	mem, err := a.bytes(args.Place)
	if err == nil {
		err = args.Pattern.check(mem, args.From)
	}
	return false, err
})

var peekMemory = define("peek", func(a *agent, p place) ([]byte, error) {
	mem, err := a.bytes(p)
	return append([]byte(nil), mem...), err
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
	mem, err := a.bytes(args.Frame)
	if err == nil {
		args.Guard.fill(mem[:args.Off], 0)
		args.Payload.fill(mem[args.Off:args.Off+args.Len], args.From)
		args.Guard.fill(mem[args.Off+args.Len:], args.Off+args.Len)
	}
	return false, err
})

var checkFramed = define("check framed", func(a *agent, args framedArgs) (none, error) {
	mem, err := a.bytes(args.Frame)
	if err != nil {
		return false, err
	}
	if err := args.Guard.check(mem[:args.Off], 0); err != nil {
		return false, fmt.Errorf("the guard before the payload was touched: %w", err)
	}
	if err := args.Payload.check(mem[args.Off:args.Off+args.Len], args.From); err != nil {
		return false, fmt.Errorf("the payload is wrong: %w", err)
	}
	if err := args.Guard.check(mem[args.Off+args.Len:], args.Off+args.Len); err != nil {
		return false, fmt.Errorf("the guard after the payload was touched: %w", err)
	}
	return false, nil
})
