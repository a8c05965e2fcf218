package rc

import "encoding/binary"

// wordBytes is the size of what atomics work on, and of what a program may watch
// (transport.FeatureWatchMemory).
const wordBytes = 8

// place copies data to mem, which is as long; the last word, if it is aligned,
// last and in one piece, for a program that watches it.
func place(mem, data []byte) {
	head := len(data) - wordBytes
	if head >= 0 {
		if w := wordAt(mem[head:]); w != nil {
			copy(mem[:head], data[:head])
			w.Store(binary.NativeEndian.Uint64(data[head:]))
			return
		}
	}
	copy(mem, data)
}
