package wire

// PSNAdd is the sequence number n packets after psn, or before it when n is
// negative.
func PSNAdd(psn uint32, n int) uint32 { return (psn + uint32(n)) & PSNMask }

// PSNDiff is how many packets a is after b, negative when it is before: the
// difference as a signed number of 24 bits, so that sequence numbers may wrap.
func PSNDiff(a, b uint32) int { return int(int32((a-b)<<8) >> 8) }
