package shm

import (
	"unsafe"

	"github.com/rfaas-go/rfaas/transport"
)

// providerSpan makes the span that the front would make of a region: only
// package transport can, so its layout is spelled out here.
func providerSpan(mr transport.MR, n int) transport.Span {
	s := struct {
		addr      uint64
		len, lkey uint32
	}{addressOf(mr.Bytes()), uint32(n), mr.LKey()}
	return *(*transport.Span)(unsafe.Pointer(&s))
}
