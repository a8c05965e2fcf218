package main

import (
	"encoding/binary"

	"github.com/rfaas-go/rfaas/transport"
)

// The memory of a collector:
//
//	  0  how many places writers have taken, ever: they add to it
//	 64  how many lines the collector has taken out, ever: it stores that
//	128  places, of 128 bytes each; line n goes into place n modulo their number
//
// and one place:
//
//	  0  length of the line, 8 bytes
//	  8  line
//	120  n + 1, when all of it is there: its writer exchanges that for what it was before
const (
	takenAt, doneAt    = 0, 64
	firstAt            = 128
	places, placeBytes = 256, 128
	lineAt, sequenceAt = 8, 120
	ringBytes          = firstAt + places*placeBytes
	// MaxLineBytes is how long a line can be.
	MaxLineBytes = sequenceAt - lineAt
)

// place is where line n goes.
func place(n uint64) int { return firstAt + int(n%places)*placeBytes }

// before is the sequence that the place of line n has until it is there.
func before(n uint64) uint64 {
	if n < places {
		return 0
	}
	return n - places + 1
}

// encode makes what is written for a line.
func encode(line string) []byte {
	return append(binary.NativeEndian.AppendUint64(nil, uint64(len(line))), line...)
}

// decode is line n, if it is there. Its length is a peer's word.
func decode(ring *transport.Region, n uint64) (line string, ok bool) {
	at := place(n)
	if ring.Uint64(at+sequenceAt).Load() != n+1 {
		return "", false
	}
	length := min(ring.Uint64(at).Load(), MaxLineBytes)
	return string(ring.Bytes()[at+lineAt:][:length]), true
}
