package wasmfile

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Reader decodes a binary. After the first error its methods return zero values.
type Reader struct {
	Data []byte
	At   int // offset in Data of the next read
	Err  error
}

// Fail stops reading with an error, unless there is one already.
func (r *Reader) Fail(err error) { r.FailAt(r.At, err) }

// FailAt is Fail with an offset, for data that was read already.
func (r *Reader) FailAt(at int, err error) {
	if r.Err == nil {
		r.Err = fmt.Errorf("offset %#x: %w", at, err)
	}
	r.At = len(r.Data)
}

func (r *Reader) failTruncated() { r.Fail(errors.New("it ends too early")) }

// More reports whether there is more to read.
func (r *Reader) More() bool { return r.Err == nil && r.At < len(r.Data) }

// End fails if there is more to read.
func (r *Reader) End() {
	if r.More() {
		r.Fail(errors.New("it is longer than its content"))
	}
}

// Byte reads a byte.
func (r *Reader) Byte() byte {
	if r.At >= len(r.Data) {
		r.failTruncated()
		return 0
	}
	b := r.Data[r.At]
	r.At++
	return b
}

// Fixed skips a byte that must have this value.
func (r *Reader) Fixed(value byte) {
	if b := r.Byte(); r.Err == nil && b != value {
		r.FailAt(r.At-1, fmt.Errorf("%#x where only %#x is possible", b, value))
	}
}

// Bytes returns the next n bytes, not copied.
func (r *Reader) Bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.Data)-r.At) {
		r.failTruncated()
		return nil
	}
	b := r.Data[r.At : r.At+int(n)]
	r.At += int(n)
	return b
}

// U32 reads an unsigned number in LEB128, of at most 5 bytes.
func (r *Reader) U32() uint32 {
	v := uint64(0)
	for shift := 0; ; shift += 7 {
		b := r.Byte()
		v |= uint64(b&0x7f) << shift
		if v > 1<<32-1 || shift == 28 && b >= 0x80 {
			r.Fail(errors.New("a number has more than 32 bits"))
		}
		if r.Err != nil {
			return 0
		}
		if b < 0x80 {
			return uint32(v)
		}
	}
}

// Count reads the length of a list. It fails if there are fewer bytes left than elements.
func (r *Reader) Count() uint32 {
	n := r.U32()
	if left := len(r.Data) - r.At; uint64(n) > uint64(left) {
		r.Fail(fmt.Errorf("a list of %d elements in %d bytes", n, left))
		return 0
	}
	return n
}

// Name reads a name.
func (r *Reader) Name() string {
	b := r.Bytes(r.U32())
	if !utf8.Valid(b) {
		r.FailAt(r.At-len(b), errors.New("a name is not UTF-8"))
		return ""
	}
	return string(b)
}
