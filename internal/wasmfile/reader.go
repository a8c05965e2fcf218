package wasmfile

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Reader takes a binary apart. After the first error everything it returns is zero.
type Reader struct {
	Data []byte
	At   int // in Data, of what is read next
	Err  error
}

// Fail ends reading with an error, unless there is one.
func (r *Reader) Fail(err error) { r.FailAt(r.At, err) }

// FailAt is Fail for what has been read already and began at an offset.
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

func (r *Reader) Byte() byte {
	if r.At >= len(r.Data) {
		r.failTruncated()
		return 0
	}
	b := r.Data[r.At]
	r.At++
	return b
}

// Fixed skips a byte that can only have one value.
func (r *Reader) Fixed(value byte) {
	if b := r.Byte(); r.Err == nil && b != value {
		r.FailAt(r.At-1, fmt.Errorf("%#x where only %#x is possible", b, value))
	}
}

// Bytes are the next n, not copied.
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

// Count is the length of a list, whose elements have a byte at least: it is never more
// than there can be.
func (r *Reader) Count() uint32 {
	n := r.U32()
	if left := len(r.Data) - r.At; uint64(n) > uint64(left) {
		r.Fail(fmt.Errorf("a list of %d elements in %d bytes", n, left))
		return 0
	}
	return n
}

func (r *Reader) Name() string {
	b := r.Bytes(r.U32())
	if !utf8.Valid(b) {
		r.FailAt(r.At-len(b), errors.New("a name is not UTF-8"))
		return ""
	}
	return string(b)
}
