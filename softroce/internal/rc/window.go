package rc

// window bounds the packets in flight: those that were sent, or asked for by a
// READ, and not acknowledged.
//
// It follows eRPC's reasoning: on the networks that this is for, loss is rare and
// comes from a buffer that is full, mostly the receiver's socket buffer, so that a
// bounded number of packets in flight avoids nearly all of it, and no rate has to
// be measured or paced. What is left is done as TCP does, because it is known to
// converge and costs two compares a packet. Go-back-N sends a whole window again
// for one packet lost: halving the window halves the price of the next loss, too.
// But one loss says nothing about the packets behind it, which were in the same
// queue at the same time; so a window reacts once.
type window struct {
	size      int // packets
	most      int // Config.Window
	least     int // what losses do not go below
	threshold int // below it, the window grows with each packet acknowledged
	grown     int // above it: packets acknowledged since it grew

	recover sequence // losses before this packet have been reacted to
}

const (
	// initialWindow is far below the socket buffers that there are, and more than
	// what is in flight between two machines at 4 KiB, 100 Gbit/s and 10 us.
	initialWindow = 64
	// leastWindow keeps several packets in flight, so that one that follows a lost
	// one shows the responder the gap: otherwise each loss would cost a timeout.
	leastWindow = 8
	// windowGrowth decides what is left when packets are lost at random: when a share
	// p of them is, the window settles at the square root of 1.5*windowGrowth/p, 21
	// packets at 1 %. One, as TCP has it, would be 12, and more would fill a
	// short queue again too soon: each time, up to a window is sent twice.
	windowGrowth = 3
	// longestPart keeps a READ that was lost cheap to repeat.
	longestPart = 16
	// mostWindow keeps the packets in flight far from half of all packet numbers.
	mostWindow = 1 << 20
)

func (w *window) init(most int) {
	w.most = max(1, min(most, mostWindow))
	w.least = min(leastWindow, w.most)
	w.size = min(initialWindow, w.most)
	w.threshold = w.most
}

// askEvery is how often an acknowledgement is asked for: several times in a window.
// If only its last packet asked, and was lost, nothing would be acknowledged or
// sent until the timeout.
func (w *window) askEvery() int { return min(askEvery, (w.size+3)/4) }

// readPart is how many packets one READ request asks for at most. The peer answers
// without any flow control: the window protects this end's socket buffer. There is
// room for two at least, so that the second shows when the end of the first was lost.
func (w *window) readPart() int { return max(1, min(w.size/2, longestPart)) }

// acknowledged lets the window grow: by n while it is below the threshold (slow
// start), so that it doubles in a round trip; by windowGrowth in a round trip above
// it.
func (w *window) acknowledged(n int) {
	switch {
	case w.size >= w.most:
	case w.size < w.threshold:
		w.size = min(w.size+n, w.threshold)
	default:
		if w.grown += windowGrowth * n; w.grown >= w.size {
			w.size = min(w.size+w.grown/w.size, w.most)
			w.grown = 0
		}
	}
}

// lost shrinks the window by half because the packet oldest was lost, of those
// before end.
func (w *window) lost(oldest, end sequence) {
	if oldest < w.recover {
		return
	}
	w.recover = end
	w.size = max(w.size/2, w.least)
	w.threshold = w.size
	w.grown = 0
}

// timedOut shrinks the window to the least: nothing at all came back, so the
// network's capacity is unknown.
func (w *window) timedOut(end sequence) {
	w.recover = end
	w.threshold = max(w.size/2, w.least)
	w.size = w.least
	w.grown = 0
}
