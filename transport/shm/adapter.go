package shm

import (
	"fmt"
	"net/url"
	"sync"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/transport"
)

func init() { transport.Register("shm", Open) }

// Open opens the shared-memory endpoint of this process. The URL is "shm:";
// there is nothing to choose.
func Open(u *url.URL) (transport.Adapter, error) {
	if u.Host != "" || u.Path != "" || u.Opaque != "" {
		return nil, fmt.Errorf("%w: shm takes no address; write \"shm:\"", transport.ErrInvalid)
	}
	if u.RawQuery != "" {
		return nil, fmt.Errorf("%w: shm takes no parameters, which these are: %q", transport.ErrInvalid, u.RawQuery)
	}
	// Making a segment shows whether this kernel can.
	probe, err := newSegment("rfaas-probe", pageSize, true)
	if err != nil {
		return nil, fmt.Errorf("%w: shared memory: %w", transport.ErrNotSupported, err)
	}
	if err := probe.close(); err != nil {
		return nil, err
	}
	return &adapter{open: provider.Account{Provider: "shm"}}, nil
}

// adapter is the endpoint. Its only state counts open objects.
type adapter struct {
	open      provider.Account
	releasing sync.WaitGroup // goroutines that release objects
}

func (a *adapter) Capabilities() transport.Capabilities {
	return transport.Capabilities{
		Wire: "shm/2",
		Ops: transport.Ops(transport.OpSend, transport.OpWrite, transport.OpWriteImm, transport.OpRead,
			transport.OpFetchAdd, transport.OpCompareSwap, transport.OpRecv, transport.OpRecvImm),
		Features: transport.FeatureSharedReceive | transport.FeatureAtomicsCoherent | transport.FeatureEvents |
			transport.FeatureWatchMemory | transport.FeatureCrossProcess | transport.FeatureUnixSocket,
		MaxMessageBytes: 1 << 31,
		MaxInlineBytes:  sideBytes,
		MaxSendDepth:    maxSlots,
		MaxRecvDepth:    maxSlots,
		MaxQueueDepth:   1 << 24,
		Notes:           []string{"memory shared between processes of this machine, by sealed memfds passed over Unix sockets; atomics are the processor's"},
	}
}

func (a *adapter) Close() error {
	a.releasing.Wait()
	return a.open.Err()
}
