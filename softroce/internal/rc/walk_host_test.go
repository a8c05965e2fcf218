package rc_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/rfaas-go/rfaas/internal/provider"
	"github.com/rfaas-go/rfaas/softroce/internal/rc"
	"github.com/rfaas-go/rfaas/softroce/internal/simnet"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// host is a machine: memory with regions, queue pairs, an end of the network. It
// is the rc.Memory of its queue pairs.
type host struct {
	w       *walk
	name    string
	end     *simnet.End
	address netip.AddrPort
	flows   map[*host]*wire.Flow // from the other host to this one
	id      uint16               // IPv4 identification of the last packet sent

	// Memory, and what the model says it holds. Between the regions lie guards,
	// which nothing but a mistake writes to.
	base        uint64 // the address of bytes[0]
	bytes, want []byte
	first       []byte // what bytes held at first, if that will be asked for
	regions     []*region
	byKey       map[uint32]*region

	sides    map[uint32]*side // by queue pair number
	shared   *receives
	words    words
	counters rc.Counters
	damaged  int // packets with a wrong ICRC
}

// region is a registered part of a host's memory. Its two keys are the same.
type region struct {
	host   *host
	name   string
	key    uint32
	at     piece
	access transport.Access
	closed bool
}

// piece is a part of a host's memory.
type piece struct{ off, n int }

func (p piece) end() int              { return p.off + p.n }
func (p piece) overlaps(q piece) bool { return p.off < q.end() && q.off < p.end() }

func newHost(w *walk, name string, address netip.AddrPort) *host {
	h := &host{
		w: w, name: name, address: address,
		// Somewhere, often with a multiple of 4 GiB in the middle of it.
		base:  uint64(1+w.random.IntN(1<<14))<<32 - uint64(w.random.IntN(64))<<12,
		flows: map[*host]*wire.Flow{},
		byKey: map[uint32]*region{},
		sides: map[uint32]*side{},
	}
	h.end = w.net.Attach(name, h.receive)
	return h
}

// register adds a region of n bytes, to memory that is not there yet.
func (h *host) register(name string, n int, access transport.Access) *region {
	key := h.w.random.Uint32() | 1
	for h.byKey[key] != nil {
		key += 2
	}
	off := 64 + 8*h.w.random.IntN(16)
	if last := len(h.regions) - 1; last >= 0 {
		off += (h.regions[last].at.end() + 7) &^ 7
	}
	r := &region{host: h, name: name, key: key, at: piece{off, n}, access: access}
	h.regions = append(h.regions, r)
	h.byKey[key] = r
	return r
}

// furnish makes the memory for all that was registered, full of noise.
func (h *host) furnish() {
	size := h.regions[len(h.regions)-1].at.end() + 192
	size = (size + 1<<16) &^ 7 // long enough for the allocator to align it as words are
	h.bytes = make([]byte, size)
	h.noise(h.bytes)
	h.want = bytes.Clone(h.bytes)
	if h.w.kind.mayFail {
		h.first = bytes.Clone(h.bytes)
	}
}

// noise fills the beginning of memory with what it was full of at first.
func (h *host) noise(b []byte) { scramble(b, h.base^h.w.seed) }

// scramble fills b with noise that depends on a key.
func scramble(b []byte, key uint64) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, mix(key))
		key++
	}
	last := mix(key)
	for i := range b {
		b[i] = byte(last >> (8 * i))
	}
}

// mix is the output function of SplitMix64.
func mix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func (h *host) mem(p piece) []byte   { return h.bytes[p.off:p.end():p.end()] }
func (h *host) model(p piece) []byte { return h.want[p.off:p.end():p.end()] }

// whose names the region of a byte of memory.
func (h *host) whose(off int) string {
	for _, r := range h.regions {
		if off >= r.at.off && off < r.at.end() {
			return fmt.Sprintf("%s+%d", r.name, off-r.at.off)
		}
	}
	return "guard"
}

// compare fails the walk when a part of memory is not as the model says.
func (h *host) compare(p piece, when string) {
	if got, want := h.mem(p), h.model(p); !bytes.Equal(got, want) {
		i := 0
		for got[i] == want[i] {
			i++
		}
		h.w.failf("%s: memory of %s at %#x (%s, va %#x) holds %#x instead of %#x",
			when, h.name, p.off+i, h.whose(p.off+i), h.base+uint64(p.off+i), got[i:min(i+8, len(got))], want[i:min(i+8, len(got))])
	}
}

// span names a part of memory of a region, as the program would.
func (r *region) span(p piece) transport.Span {
	return provider.SpanAt(r.host.base+uint64(p.off), p.n, r.key)
}

func (r *region) remote(p piece) transport.RemoteSpan {
	return transport.RemoteSpan{Addr: r.host.base + uint64(p.off), Len: uint32(p.n), Key: transport.RKey(r.key)}
}

func (r *region) contains(addr, n uint64) (piece, bool) {
	off := addr - r.host.base - uint64(r.at.off)
	if addr < r.host.base || off > uint64(r.at.n) || n > uint64(r.at.n)-off {
		return piece{}, false
	}
	return piece{r.at.off + int(off), int(n)}, true
}

// Local implements rc.Memory.
func (h *host) Local(s transport.Span) ([]byte, bool) {
	r := h.byKey[s.LKey()]
	if r == nil {
		h.w.failf("%s: a local span with key %#x, which nobody posted", h.name, s.LKey())
	}
	if r.closed {
		return nil, false
	}
	p, ok := r.contains(s.Addr(), uint64(s.Len()))
	if !ok {
		h.w.failf("%s: a local span of %d bytes at %#x in %s, which nobody posted", h.name, s.Len(), s.Addr(), r.name)
	}
	return h.mem(p), true
}

// Remote implements rc.Memory.
func (h *host) Remote(key uint32, va uint64, n uint32, need transport.Access) ([]byte, bool) {
	if n == 0 {
		h.w.failf("%s: remote access to no bytes", h.name)
	}
	if need == 0 || need&^transport.RemoteAll != 0 || need&(need-1) != 0 {
		h.w.failf("%s: remote access needs %v", h.name, need)
	}
	r := h.byKey[key]
	if r == nil || r.closed || r.access&need == 0 {
		return nil, false
	}
	p, ok := r.contains(va, uint64(n))
	if !ok {
		return nil, false
	}
	return h.mem(p), true
}

// send sends a packet of a queue pair.
func (h *host) send(to *host, p *wire.Packet) {
	w := h.w
	h.id++
	w.scratch = p.AppendTo(w.scratch[:0], to.flow(h), h.id)
	w.packets++
	if w.packets > w.mostPackets {
		w.failf("no end: %d packets, when %d would do", w.packets, w.minimum())
	}
	h.end.Send(to.end, w.scratch)
}

// flow is that of packets from another host.
func (h *host) flow(from *host) *wire.Flow {
	f := h.flows[from]
	if f == nil {
		flow := wire.NewFlow(from.address, h.address)
		f = &flow
		h.flows[from] = f
	}
	return f
}

// receive takes a datagram as an engine would: check, decode, hand over.
func (h *host) receive(from *simnet.End, datagram []byte) {
	w := h.w
	if _, ok := h.flow(w.byEnd[from]).Check(datagram); !ok {
		if w.link.Flip == 0 && w.link.Truncate == 0 {
			w.failf("the ICRC of an intact packet is wrong: %s", describe(datagram))
		}
		h.damaged++
		return
	}
	var p wire.Packet
	if err := p.Decode(datagram); err != nil {
		w.failf("a packet with a good ICRC cannot be decoded: %v: %x", err, datagram)
	}
	h.handle(&p)
	// The bytes are not the queue pair's any more.
	for i := range datagram {
		datagram[i] ^= 0x5a
	}
}

// handle hands a packet to its queue pair.
func (h *host) handle(p *wire.Packet) {
	s := h.sides[p.DestQP]
	if s == nil {
		h.w.failf("a packet for nobody: %s", describePacket(p))
	}
	s.noteAnswer(p)
	s.q.Handle(p, h.w.now())
	*p = wire.Packet{}
	s.wake(h.w.react)
}
