package invoke

import (
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// rendezvousLimits is what a worker sets aside for calls beyond the slots.
type rendezvousLimits struct {
	call, client int64 // bytes; 0: there are no such calls
	total        *budget
	idle         time.Duration
}

const (
	defaultClientBytes = 1 << 30
	defaultTotalBytes  = 4 << 30
)

// newRendezvousLimits fills in what was not chosen. A device that cannot read, or not
// write, has no such calls.
func newRendezvousLimits(dev *transport.Device, cfg WorkerConfig) (rendezvousLimits, error) {
	if cfg.ClientBytes < 0 || cfg.TotalBytes < 0 {
		return rendezvousLimits{}, fmt.Errorf("invoke: ClientBytes is %d and TotalBytes is %d; they must not be negative", cfg.ClientBytes, cfg.TotalBytes)
	}
	choose := func(bytes, otherwise int64) int64 {
		if bytes == 0 {
			return otherwise
		}
		return bytes
	}
	total := choose(cfg.TotalBytes, max(defaultTotalBytes, cfg.ClientBytes, cfg.CallBytes))
	client := min(choose(cfg.ClientBytes, max(defaultClientBytes, cfg.CallBytes)), total)
	call := min(choose(cfg.CallBytes, client), client, 2*MaxPayloadBytes)
	ops := dev.Capabilities().Ops
	if call < 0 || !ops.Has(transport.OpRead) || !ops.Has(transport.OpWrite) {
		call = 0
	}
	l := rendezvousLimits{call: call, client: client, total: &budget{most: total}, idle: cfg.memoryIdle}
	if l.idle == 0 {
		l.idle = memoryIdle
	}
	return l, nil
}

// newMemory makes the pool of one client.
func (l rendezvousLimits) newMemory(domain *transport.ProtectionDomain) *memoryPool {
	most := int64(roundUp(int(l.client), pageBytes))
	return &memoryPool{domain: domain, access: transport.RemoteRead, given: map[*transport.Region]struct{}{}, keep: most, most: most, budget: l.total, idle: l.idle}
}
