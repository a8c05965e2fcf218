package invoke

import (
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// Limits and defaults of slots.
const (
	defaultSlots     = 16
	defaultSlotBytes = 64 << 10
	maxSlotBytes     = 1 << 30
)

// layout is how slots lie in a region: header and payload of one after those of
// the other, each on a cache line of its own.
type layout struct {
	slots     int
	slotBytes int // payload
}

// stride is the distance between two slots in bytes.
func (l layout) stride() int { return (headerBytes + l.slotBytes + 63) &^ 63 }

// bytes is the size of the region.
func (l layout) bytes() int { return l.slots * l.stride() }

// withDefaults fills in what was not chosen and checks the rest.
func (l layout) withDefaults(caps transport.Capabilities) (layout, error) {
	if l.slots == 0 {
		l.slots = defaultSlots
	}
	if l.slotBytes == 0 {
		l.slotBytes = defaultSlotBytes
	}
	mostBytes := int(min(maxSlotBytes, caps.MaxMessageBytes-headerBytes))
	mostSlots := min(maxSlots, (int(caps.MaxSendDepth)-rendezvousDepth)/depthPerSlot, int(caps.MaxRecvDepth/depthPerSlot))
	switch {
	case l.slots < 1 || l.slots > mostSlots:
		return l, fmt.Errorf("invoke: %d slots; 1 to %d are possible here", l.slots, mostSlots)
	case l.slotBytes < minSlotBytes || l.slotBytes > mostBytes:
		return l, fmt.Errorf("invoke: slots of %d bytes; %d to %d are possible here", l.slotBytes, minSlotBytes, mostBytes)
	}
	return l, nil
}

// minSlotBytes leaves room for the name of a function and for messages.
const minSlotBytes = 256

// depthPerSlot is how many sends, and how many receives, a connection reserves
// for each slot. Of one slot there can be unanswered and unnoticed at once: a
// cancel that crossed its reply, the next request, and that one's cancel. A
// fourth is what is reposted, or reclaimed, in batches.
const depthPerSlot = 4

// depth is how many sends, and how many receives, a connection reserves. With few
// slots it is more than these need: every signaled send costs an acknowledgement
// on a network.
func (l layout) depth() int { return depthPerSlot * max(l.slots, defaultSlots) }

// signalEvery is how often a send is signaled, so that its entry of the send
// queue and those before it can be reclaimed.
func (l layout) signalEvery() int { return l.depth() / depthPerSlot }

// restock is how many receives are reposted at once.
func (l layout) restock() int { return l.depth() / depthPerSlot / 2 }

// receives makes n receives without memory, which is all that immediate data
// needs.
func receives(n int, id uint64) []transport.WorkRequest {
	wrs := make([]transport.WorkRequest, n)
	for i := range wrs {
		wrs[i] = transport.Recv(id, transport.Span{})
	}
	return wrs
}

// at returns the header and the payload of slot i in a region's memory.
func (l layout) at(mem []byte, i int) (header *[headerBytes]byte, payload []byte) {
	slot := mem[i*l.stride():]
	return (*[headerBytes]byte)(slot), slot[headerBytes : headerBytes+l.slotBytes : headerBytes+l.slotBytes]
}

// span names slot i of a region for a work request.
func (l layout) span(r *transport.Region, i int) transport.Span {
	return r.Span(i*l.stride(), headerBytes+l.slotBytes)
}

// remote names slot i of a peer's region, of which first is the first slot. A
// region can be larger than a RemoteSpan can say.
func (l layout) remote(first transport.RemoteSpan, i int) transport.RemoteSpan {
	first.Addr += uint64(i) * uint64(l.stride())
	first.Len = uint32(headerBytes + l.slotBytes)
	return first
}
