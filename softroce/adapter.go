package softroce

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/internal/roceaddr"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

func init() {
	transport.Register("softroce", func(u *url.URL) (transport.Adapter, error) { return Open(u) }, parameterNames...)
}

// Adapter is a RoCEv2 engine on a UDP socket. Programs open it with transport.Open;
// Device.Adapter returns it, for the methods that only softroce has.
type Adapter struct {
	engine  *engine
	options options
	mtu     int
	notes   []string
	open    provider.Account
}

// Open opens an engine. The URL is softroce://ADDRESS[:PORT][?parameters], see
// the package comment.
func Open(u *url.URL) (*Adapter, error) {
	o, err := parseOptions(u)
	if err != nil {
		return nil, err
	}
	s, note, err := listen(o)
	if err != nil {
		return nil, err
	}
	a := &Adapter{options: o, mtu: s.mtu, open: provider.Account{Provider: "softroce"}}
	if o.mtu != 0 {
		if o.mtu > s.mtu {
			s.close()
			return nil, fmt.Errorf("%w: path MTU %d does not fit the interface of %v, which has room for %d", transport.ErrInvalid, o.mtu, s.local.Addr(), s.mtu)
		}
		a.mtu = o.mtu
	}
	if !o.segmentation {
		s.segments = false
	}
	e := &engine{adapter: a, socket: s, start: time.Now(), due: never, pairs: map[uint32]*queuePair{}}
	a.engine = e
	e.in.open(e)
	e.out.open(e)
	e.receiver = &e.in
	if o.faults.any() {
		e.faults = newFaults(e, o.faults)
		e.receiver = e.faults
	}
	if e.background, err = newBackground(e); err != nil {
		s.close()
		return nil, err
	}
	e.background.begin()
	a.notes = a.describe(note)
	a.announce()
	return a, nil
}

// listen opens the socket on the given address, or on a loopback address that no
// other engine has: so all can use RoCE's port, by which tools recognize the packets.
func listen(o options) (s *socket, note string, err error) {
	if o.address.IsValid() {
		s, err = openSocket(o.address, o.exact)
		return s, "", err
	}
	host := loopback
	for range addressTries {
		if s, err = openSocket(netip.AddrPortFrom(host, wire.Port), o.exact); err == nil {
			return s, "", nil
		}
		r := provider.Random32()
		host = netip.AddrFrom4([4]byte{127, byte(r>>16) | 1, byte(r >> 8), byte(r)})
	}
	s, err2 := openSocket(netip.AddrPortFrom(loopback, 0), o.exact)
	if err2 != nil {
		return nil, "", errors.Join(err, err2)
	}
	return s, fmt.Sprintf("UDP port %d is taken on all of loopback, probably by the kernel's rdma_rxe: another port will do among softroce ends", wire.Port), nil
}

// addressTries is how many addresses are tried; all but the first are random.
const addressTries = 8

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func (a *Adapter) describe(note string) []string {
	s := a.engine.socket
	notes := []string{
		fmt.Sprintf("RoCEv2 in user space on UDP %v, path MTU up to %d bytes", s.local, a.mtu),
	}
	if note != "" {
		notes = append(notes, note)
	}
	switch {
	case s.local.Addr().Is6():
		notes = append(notes, "the ICRC of received packets is checked exactly")
	case s.raw:
		notes = append(notes, "the ICRC of received packets is checked exactly, by way of a raw socket")
	default:
		notes = append(notes, "the ICRC of received packets is checked with 16 of its 32 bits: a UDP socket does not show the IPv4 identification, which it covers; the parameter icrc=exact uses a raw socket")
	}
	offload := func(name string, on bool) string {
		if on {
			return name + " is used"
		}
		return name + " is not available or switched off: more system calls for large messages"
	}
	return append(notes,
		offload("segmentation offload (UDP_SEGMENT)", s.segments), offload("receive offload (UDP_GRO)", s.gathers),
		fmt.Sprintf("socket buffer of %d KiB: at most %d packets in flight on a connection", s.buffer>>10, a.window()),
		"atomics are the processor's; "+pages.MapNote)
}

// window is how many packets each peer may have in flight towards this socket.
// Several connections share its buffer, and the kernel charges more for a packet
// than its bytes.
func (a *Adapter) window() int {
	const share, overhead = 4, 768
	return min(max(a.engine.socket.buffer/share/(a.mtu+overhead), 16), maxWindow)
}

// firstPSN is the first packet sequence number of a queue pair.
func (a *Adapter) firstPSN() uint32 {
	if a.options.psn >= 0 {
		return uint32(a.options.psn)
	}
	return provider.Random32() & wire.PSNMask
}

// Address is the UDP address of the engine.
func (a *Adapter) Address() netip.AddrPort { return a.engine.socket.local }

// Capabilities implements transport.Adapter.
func (a *Adapter) Capabilities() transport.Capabilities {
	return transport.Capabilities{
		Wire: roceaddr.Wire,
		Ops: transport.Ops(transport.OpSend, transport.OpWrite, transport.OpWriteImm, transport.OpRead,
			transport.OpFetchAdd, transport.OpCompareSwap, transport.OpRecv, transport.OpRecvImm),
		Features: transport.FeatureRegister | transport.FeatureSharedReceive | transport.FeatureAtomicsCoherent |
			transport.FeatureEvents | transport.FeatureCrossProcess | transport.FeatureCrossHost,
		MaxMessageBytes: maxMessage,
		MaxInlineBytes:  maxInline,
		MaxSendDepth:    1 << 14,
		MaxRecvDepth:    1 << 16,
		MaxQueueDepth:   1 << 24,
		Notes:           a.notes,
	}
}

// maxMessage is half of what InfiniBand allows: with the smallest path MTU, two
// messages of 2 GiB would use up the sequence numbers.
const maxMessage = 1 << 30

// maxInline is what each entry of a send queue has room for.
const maxInline = 512

// Close implements transport.Adapter.
func (a *Adapter) Close() error {
	e := a.engine
	e.background.stop()
	e.Lock()
	e.tap = nil
	err := e.socket.close()
	e.engineLock.Unlock()
	return errors.Join(err, a.open.Err())
}
