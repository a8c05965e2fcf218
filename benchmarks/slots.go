package benchmarks

// slots divides memory into buffers of one message each, which a test goes
// round. Fewer than asked for when they are large: all together take windowBytes
// at most, so that a run at 1 MiB stays within bounded memory and, with its
// counterpart, within a usual last-level cache.
type slots struct{ size, stride, count int }

const (
	windowBytes = 4 << 20
	lineBytes   = 64
)

// newSlots makes at most most slots, and at least two unless most is one.
func newSlots(size, most int) slots {
	stride := (max(size, 1) + lineBytes - 1) / lineBytes * lineBytes
	return slots{size, stride, min(most, max(2, windowBytes/stride))}
}

func (s slots) bytes() int       { return s.stride * s.count }
func (s slots) offset(i int) int { return i % s.count * s.stride }

// of is slot i of the memory.
func (s slots) of(mem []byte, i int) []byte {
	off := s.offset(i)
	return mem[off : off+s.size : off+s.size]
}

// all lists the buffers of n messages, which go round: looked up, they save the
// hot loops the arithmetic.
func (s slots) all(mem []byte, n int) [][]byte {
	buffers := make([][]byte, n)
	for i := range buffers {
		buffers[i] = s.of(mem, i)
	}
	return buffers
}

// stamp marks both ends of a message.
func stamp(message []byte, mark byte) {
	message[0] = mark
	message[len(message)-1] = mark
}

// stamped loads both ends of a message and compares them with the mark.
func stamped(message []byte, mark byte) bool {
	return message[0] == mark && message[len(message)-1] == mark
}
