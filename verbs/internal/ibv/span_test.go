//go:build cgo && linux

package ibv

import (
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

// span is a part of a memory region as a provider gets it from the front,
// with the device's own key.
func (m *MR) span(off, n int) transport.Span {
	return provider.SpanAt(address(m.mem)+uint64(off), n, m.LKey)
}
