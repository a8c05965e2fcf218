package wasm

import (
	"errors"
	"fmt"
)

var errTruncated = errors.New("it ends too early")

// reader takes a binary apart. After the first error everything it returns is zero.
type reader struct {
	data []byte
	at   int
	err  error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("offset %#x: %w", r.at, err)
	}
	r.at = len(r.data)
}

func (r *reader) more() bool { return r.err == nil && r.at < len(r.data) }

func (r *reader) byte() byte {
	if r.at >= len(r.data) {
		r.fail(errTruncated)
		return 0
	}
	b := r.data[r.at]
	r.at++
	return b
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.data)-r.at) {
		r.fail(errTruncated)
		return nil
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

// u32 reads an unsigned number in LEB128.
func (r *reader) u32() uint32 {
	v := uint64(0)
	for shift := 0; ; shift += 7 {
		b := r.byte()
		v |= uint64(b&0x7f) << shift
		if b&0x80 == 0 || r.err != nil {
			break
		}
		if shift >= 28 {
			r.fail(errors.New("a number of more than 5 bytes"))
			return 0
		}
	}
	if v > 1<<32-1 {
		r.fail(errors.New("a number of more than 32 bits"))
		return 0
	}
	return uint32(v)
}

// leb skips a number in LEB128 of at most so many bytes.
func (r *reader) leb(most int) {
	for range most {
		if r.byte()&0x80 == 0 {
			return
		}
	}
	r.fail(fmt.Errorf("a number of more than %d bytes", most))
}

func (r *reader) name() string { return string(r.bytes(r.u32())) }

// appendU32 appends a number in LEB128.
func appendU32(b []byte, v uint32) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// appendBytes appends bytes and, before them, how many they are.
func appendBytes(b, data []byte) []byte {
	return append(appendU32(b, uint32(len(data))), data...)
}
