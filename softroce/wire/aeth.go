package wire

import (
	"math/bits"
	"time"
)

// The syndromes of an AETH. The upper three bits are the kind, the others a
// number of credits (ACK), a timer (RNR NAK) or a reason (NAK).
const (
	SyndromeACK = 0x00
	SyndromeRNR = 0x20 // receiver not ready: no receive was posted
	SyndromeNAK = 0x60

	SyndromeKind  = 0xe0 // mask of the bits that say ACK, RNR NAK or NAK
	SyndromeValue = 0x1f // mask of the others

	NAKSequence          = 0x60 // packets are missing: send again from this PSN
	NAKInvalidRequest    = 0x61
	NAKRemoteAccess      = 0x62
	NAKRemoteOperational = 0x63

	CreditsUnlimited = 0x1f // an ACK that limits nothing
)

// maxCreditsCode is the largest code of a number of credits, 32768.
const maxCreditsCode = 30

// EncodeCredits is the code of the largest number of credits that is not above
// the number of receives: 0, 1, 2, 3, 4, 6, 8, 12, 16 ... 24576, 32768. For a
// negative number of receives, which means unknown, it is CreditsUnlimited.
func EncodeCredits(receives int) uint8 {
	switch {
	case receives < 0:
		return CreditsUnlimited
	case receives < 2:
		return uint8(receives)
	case receives >= 1<<(maxCreditsCode/2):
		return maxCreditsCode
	}
	// A power of two has an even code, and the odd ones are one and a half of the
	// one before.
	power := bits.Len(uint(receives)) - 1
	half := receives >> (power - 1) & 1
	return uint8(2*power + half)
}

// DecodeCredits is the number of credits that the low five bits of an ACK's
// syndrome encode; limited is false when they mean that there is no limit.
func DecodeCredits(code uint8) (n int, limited bool) {
	code &= SyndromeValue
	switch {
	case code == CreditsUnlimited:
		return 0, false
	case code < 2:
		return int(code), true
	}
	return int(2|code&1) << (code/2 - 1), true
}

// RNRTimer is how long a requester has to wait after an RNR NAK whose syndrome
// has code in its low five bits: 1 is 10 us, 12 is 640 us, 31 is 491.52 ms, and 0
// is the longest, 655.36 ms.
func RNRTimer(code uint8) time.Duration {
	return time.Duration(rnrTimers[code&SyndromeValue]) * 10 * time.Microsecond
}

// rnrTimers is in units of 10 us.
var rnrTimers = [32]uint32{
	65536, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192,
	256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
}
