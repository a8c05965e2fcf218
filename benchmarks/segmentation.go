package benchmarks

// segmentation is how messages are cut into datagrams, and these put together
// for the kernel. The datagrams are those that RoCE makes of a long Write at a
// path MTU of 4096: as much payload, and segmentOverhead.
type segmentation struct {
	perMessage int // datagrams
	full, last int // bytes of a message's datagrams, and of its last one
	batch      int // datagrams that the kernel takes in one piece
}

const (
	segmentPayload = 4096
	// segmentOverhead is the base transport header and the check sum of a RoCE
	// packet. Only the first packet of a Write has more.
	segmentOverhead = 12 + 4
	// maxBatch is UDP_MAX_SEGMENTS; newer kernels take twice as many.
	maxBatch = 64
)

func newSegmentation(size int) segmentation {
	s := segmentation{perMessage: (size + segmentPayload - 1) / segmentPayload}
	s.full = min(size, segmentPayload) + segmentOverhead
	s.last = size - (s.perMessage-1)*segmentPayload + segmentOverhead
	s.batch = min(maxDatagramBytes/s.full, maxBatch)
	return s
}

// together is how many of n messages share batches: a datagram that is shorter
// ends one.
func (s segmentation) together(n int) int {
	if s.last == s.full {
		return n
	}
	return 1
}

// bytes is the length of all datagrams of n messages.
func (s segmentation) bytes(n int) int { return n * ((s.perMessage-1)*s.full + s.last) }

// windowIn is how many datagrams may be under way to a socket whose buffer has so
// many bytes: what fills half of it. A datagram counts with what the kernel
// keeps beside it; and the kernel is late, by up to a quarter of the buffer, to
// account for what was taken.
func (s segmentation) windowIn(bufferBytes int) int {
	const besideBytes = 1024
	return max(bufferBytes/2/(s.full+besideBytes), 2*s.batch)
}
