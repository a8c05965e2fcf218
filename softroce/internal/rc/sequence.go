package rc

import "github.com/rfaas-go/rfaas/softroce/wire"

// sequence is a packet or message number that does not wrap: its low 24 bits are
// what is on the wire. All comparisons are made on these, so that wrapping
// happens in near and nowhere else.
type sequence uint64

// firstSequence stands for n, so far from 0 that nothing is ever before it.
func firstSequence(n uint32) sequence { return 1<<32 | sequence(n&wire.PSNMask) }

// onWire is the number's 24 bits.
func (s sequence) onWire() uint32 { return uint32(s) & wire.PSNMask }

// near is the number nearest to s whose 24 bits are n.
func (s sequence) near(n uint32) sequence { return s + sequence(wire.PSNDiff(n, s.onWire())) }
