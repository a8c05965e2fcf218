//go:build cgo && linux

package ibv

import (
	"unsafe"

	"github.com/rfaas-go/rfaas/transport"
)

// span is a part of a memory region as a provider gets it from the front, with
// the device's own key. post.go and TestPostSend say that this is its layout.
func (m *MR) span(off, n int) transport.Span {
	s := struct {
		addr      uint64
		len, lkey uint32
	}{address(m.mem) + uint64(off), uint32(n), m.LKey}
	return *(*transport.Span)(unsafe.Pointer(&s))
}

func (m *MR) remote(off, n int) transport.RemoteSpan {
	return transport.RemoteSpan{Addr: address(m.mem) + uint64(off), Len: uint32(n), Key: transport.RKey(m.RKey)}
}
