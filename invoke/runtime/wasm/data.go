package wasm

import "math"

// maxGap is how many zeros between two segments of data are worth joining them, and
// maxSegments how many there may be before: each is compared with those before it.
const (
	maxGap      = 32
	maxSegments = 4096
)

// joinData joins the segments of a data section that lie close to each other in memory, which
// is zero where none is: Go's linker makes one for each piece between some zeros, and each
// instance would evaluate tens of thousands. A section with others than the usual segments
// stays as it is; so must that of a module that refers to segments by their numbers.
func joinData(data []byte) []byte {
	type place struct{ at, end uint64 }
	var p place // of the segment
	var out, segment []byte
	var before []place
	free := uint64(0) // from its end to here no other has written
	finish := func() {
		if len(segment) > 0 {
			out = appendI32(append(out, 0, opI32Const), int32(uint32(p.at)))
			out = appendBytes(append(out, opEnd), segment)
			before = append(before, p)
		}
	}
	r := newReader(data)
	for count := r.Count(); count > 0; count-- {
		mode, op := r.Byte(), r.Byte()
		at := uint64(uint32(r.i32()))
		if mode != 0 || op != opI32Const || r.Byte() != opEnd { // not active, or not at a number
			return data
		}
		content := r.Bytes(r.U32())
		if len(content) == 0 {
			continue
		}
		if at < p.end || at > min(p.end+maxGap, max(free, p.end)) || len(segment) == 0 {
			finish()
			if len(before) > maxSegments {
				return data
			}
			p, segment, free = place{at, at}, segment[:0], math.MaxUint64
			for _, other := range before {
				if other.end > at {
					free = min(free, other.at)
				}
			}
		}
		segment = append(append(segment, make([]byte, at-p.end)...), content...)
		p.end = at + uint64(len(content))
	}
	finish()
	if r.Err != nil {
		return data
	}
	return append(appendU32(nil, uint32(len(before))), out...)
}

// i32 reads a signed number in LEB128.
func (r *reader) i32() (v int32) {
	for shift := 0; shift < 35; shift += 7 {
		b := r.Byte()
		v |= int32(b&0x7f) << shift
		if b&0x80 == 0 {
			if b&0x40 != 0 && shift < 28 {
				v |= -1 << (shift + 7)
			}
			break
		}
	}
	return v
}

// appendI32 appends a signed number in LEB128.
func appendI32(b []byte, v int32) []byte {
	for ; v < -0x40 || v >= 0x40; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v)&0x7f)
}
