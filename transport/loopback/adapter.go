package loopback

import (
	"fmt"
	"net/url"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

func init() { transport.Register("loopback", open) }

// open opens an adapter by URL.
func open(u *url.URL) (transport.Adapter, error) {
	if u.Opaque != "" || u.Host != "" || u.Path != "" {
		return nil, fmt.Errorf("%w: %q says more than loopback understands; the URL is %q, without an address", transport.ErrInvalid, u, "loopback:")
	}
	return New(), nil
}

// New makes an adapter. All adapters of one process can connect to each other.
func New() transport.Adapter { return &adapter{open: provider.Account{Provider: "loopback"}} }

// Limits. They bound what a mistaken configuration can allocate.
const (
	maxMessageBytes = 1 << 30
	maxInlineBytes  = 256
	maxDepth        = 1 << 16
	maxQueueDepth   = 1 << 22
)

// adapter makes objects and counts those that are open.
type adapter struct{ open provider.Account }

func (a *adapter) Capabilities() transport.Capabilities {
	return transport.Capabilities{
		Wire: "loopback/1",
		Ops: transport.Ops(transport.OpSend, transport.OpWrite, transport.OpWriteImm, transport.OpRead,
			transport.OpFetchAdd, transport.OpCompareSwap, transport.OpRecv, transport.OpRecvImm),
		Features: transport.FeatureRegister | transport.FeatureSharedReceive | transport.FeatureAtomicsCoherent |
			transport.FeatureEvents | transport.FeatureWatchMemory,
		MaxMessageBytes: maxMessageBytes,
		MaxInlineBytes:  maxInlineBytes,
		MaxSendDepth:    maxDepth,
		MaxRecvDepth:    maxDepth,
		MaxQueueDepth:   maxQueueDepth,
		Notes:           []string{"both ends are in this process", pages.Note},
	}
}

// Close fails when something that was made from the adapter is still open.
func (a *adapter) Close() error { return a.open.Err() }
