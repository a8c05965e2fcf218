package provider

import (
	"unsafe"

	"github.com/rfaas-go/rfaas/transport"
)

// SpanAt makes a local span as the front of transport hands it to a provider: n bytes
// at addr in the region with a local key. There need not be a region. Package transport
// exports no such constructor, so the layout of transport.Span is repeated here.
func SpanAt(addr uint64, n int, lkey uint32) transport.Span {
	s := struct {
		addr      uint64
		len, lkey uint32
	}{addr, uint32(n), lkey}
	return *(*transport.Span)(unsafe.Pointer(&s))
}
