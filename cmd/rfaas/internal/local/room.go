package local

// MaxBytes is the longest input, and the longest result, that a call can have.
const MaxBytes = 1 << 30

const (
	// mostSlotBytes is the largest slot: what can be longer goes beside it.
	mostSlotBytes = 1 << 20
	pageBytes     = 4 << 10
)

// Room is the slot and the payload of a worker with room for an input and a result and
// for no more, one call at a time.
func Room(inputBytes, resultBytes int) (slotBytes int, payloadBytes int64) {
	slotBytes = pageBytes
	for _, n := range []int{inputBytes, resultBytes} {
		n = (n + pageBytes - 1) &^ (pageBytes - 1)
		slotBytes = max(slotBytes, min(n, mostSlotBytes))
		if n > mostSlotBytes {
			payloadBytes += int64(n)
		}
	}
	return slotBytes, payloadBytes
}
