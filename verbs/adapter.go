package verbs

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/internal/handle"
	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

func init() {
	transport.Register("verbs", func(u *url.URL) (transport.Adapter, error) { return Open(u) }, parameterNames...)
}

// Adapter is an opened port of an RDMA device.
type Adapter struct {
	options options
	context *ibv.Context
	port    devicePort
	attr    ibv.DeviceAttr
	inline  int // bytes that a request can carry, at most
	pairs   handle.Table[queuePair]
	shared  handle.Table[sharedReceiveQueue]
	open    provider.Account
	events  chan struct{} // closed when there will be no more

	closing    chan struct{} // ends patrol
	patrolling sync.WaitGroup
}

// Open opens a device. The URL is verbs://DEVICE[/PORT][?parameters] or
// verbs://ADDRESS[?parameters], see the package comment.
func Open(u *url.URL) (*Adapter, error) { return open(u, patrolInterval) }

func open(u *url.URL, patrolInterval time.Duration) (*Adapter, error) {
	o, err := parseOptions(u)
	if err != nil {
		return nil, err
	}
	if err := ibv.Load(); err != nil {
		return nil, fmt.Errorf("%w: %w", transport.ErrNotSupported, err)
	}
	context, port, err := find(&o)
	if err != nil {
		return nil, err
	}
	a := &Adapter{options: o, context: context, port: port, open: provider.Account{Provider: "verbs"}, events: make(chan struct{}), closing: make(chan struct{})}
	if err := a.measure(); err != nil {
		return nil, errors.Join(err, context.Close())
	}
	go a.listen()
	a.patrolling.Go(func() { a.patrol(patrolInterval) })
	slog.Debug("verbs: opened", "device", port.device, "port", port.number, "gid", port.gid.Index,
		"address", gidAddr(port.gid.Addr), "because", port.because, "gid_because", port.gidBecause)
	return a, nil
}

// measure finds the limits of the device.
func (a *Adapter) measure() (err error) {
	if a.attr, err = a.context.QueryDevice(); err != nil {
		return err
	}
	a.inline, err = a.measureInline()
	return err
}

// measureInline finds how many bytes a request can carry: a device reveals it
// only by making, or refusing, a queue pair with that many.
func (a *Adapter) measureInline() (int, error) {
	pd, err := a.context.AllocPD()
	if err != nil {
		return 0, err
	}
	defer pd.Close()
	cq, err := a.context.NewCQ(2, nil)
	if err != nil {
		return 0, err
	}
	defer cq.Close()
	try := func(bytes int) error {
		qp, err := pd.NewQP(ibv.QPInit{SendCQ: cq, RecvCQ: cq, SendDepth: 1, RecvDepth: 1, SGEs: spans, InlineBytes: bytes})
		if err != nil {
			return err
		}
		return qp.Close()
	}
	if err := try(0); err != nil {
		return 0, fmt.Errorf("no queue pair can be made on device %s: %w", a.port.device, err)
	}
	const most = 1024
	low, high := 0, most // low works
	for low < high {
		middle := (low + high + 1) / 2
		if try(middle) == nil {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return low, nil
}

// mtu is the path MTU that this end can do, in bytes.
func (a *Adapter) mtu() int {
	if a.options.mtu != 0 {
		return min(a.options.mtu, a.port.mtu)
	}
	return a.port.mtu
}

// resources are the READs and atomics that peers may have open, and initiates
// those that this end may.
func (a *Adapter) resources() int { return min(a.options.resources, max(a.attr.MaxQPRdAtom, 1)) }
func (a *Adapter) initiates() int { return min(a.options.resources, max(a.attr.MaxQPInitRdAtom, 1)) }

// Capabilities implements transport.Adapter.
func (a *Adapter) Capabilities() transport.Capabilities {
	ops := transport.Ops(transport.OpSend, transport.OpWrite, transport.OpWriteImm, transport.OpRead, transport.OpRecv, transport.OpRecvImm)
	features := transport.FeatureRegister | transport.FeatureEvents | transport.FeatureCrossProcess | transport.FeatureCrossHost
	if a.attr.AtomicCap > 0 {
		ops |= transport.Ops(transport.OpFetchAdd, transport.OpCompareSwap)
	}
	if a.attr.AtomicCap == atomicsGlobal {
		features |= transport.FeatureAtomicsCoherent
	}
	if a.attr.MaxSRQ > 0 {
		features |= transport.FeatureSharedReceive
	}
	queue := a.attr.MaxCQE - maxMarkers
	return transport.Capabilities{
		Wire: a.port.wire, Ops: ops, Features: features,
		MaxMessageBytes: min(uint64(a.port.maxMessage), maxMessage),
		MaxInlineBytes:  uint32(a.inline),
		MaxSendDepth:    uint32(min(a.attr.MaxQPWR-markerEntries, queue/2)),
		MaxRecvDepth:    uint32(min(a.attr.MaxQPWR, queue/2)),
		MaxQueueDepth:   uint32(queue),
		Notes:           a.notes(),
	}
}

const (
	// atomicsGlobal is IBV_ATOMIC_GLOB.
	atomicsGlobal = 2
	// maxMessage is half of what InfiniBand allows, as in softroce.
	maxMessage = 1 << 30
)

func (a *Adapter) notes() []string {
	p := &a.port
	notes := []string{
		fmt.Sprintf("device %s, firmware %q, port %d: %s", p.device, a.attr.Firmware, p.number, p.because),
		fmt.Sprintf("path MTU %d bytes; no acknowledgement for %v is a timeout, %d in a row are the end of a connection", a.mtu(), a.options.ackDuration(), a.options.retries+1),
	}
	if p.wire == roceaddr.Wire {
		notes = append(notes, fmt.Sprintf("GID %d, %v: %s", p.gid.Index, gidAddr(p.gid.Addr), p.gidBecause))
	} else {
		notes = append(notes, fmt.Sprintf("InfiniBand, LID %d, GID %d", p.lid, p.gid.Index))
	}
	switch a.attr.AtomicCap {
	case 0:
		notes = append(notes, "the device has no atomics")
	case atomicsGlobal:
		notes = append(notes, "atomics exclude the processor's")
	default:
		notes = append(notes, "atomics exclude those of other peers of this device, but not the processor's own")
	}
	if note := ibv.ForkNote(); note != "" {
		notes = append(notes, note)
	}
	return append(notes, pages.MapNote)
}

// Close implements transport.Adapter.
func (a *Adapter) Close() error {
	close(a.closing)
	a.patrolling.Wait()      // first: it queries the device, and a closed context is freed memory
	err := a.context.Close() // ends listen
	<-a.events
	return errors.Join(err, a.open.Err())
}
