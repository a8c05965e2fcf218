package wasm

import (
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

// The instructions that instrument handles.
const (
	opLoop         = 0x03
	opEnd          = 0x0b
	opI32Const     = 0x41
	opCall         = 0x10
	opCallIndirect = 0x11
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMisc         = 0xfc
	opVector       = 0xfd
	miscTableGrow  = 15
)

// reader decodes code.
type reader struct{ wasmfile.Reader }

func newReader(data []byte) *reader { return &reader{wasmfile.Reader{Data: data}} }

// instruction skips one instruction with its operands. It returns its opcode and, if it has
// one, the index that it names. It knows WebAssembly 2.0; the compiler checks whether the
// operands are valid.
//
// It must never decode other instructions than the compiler does: a module could hide a loop
// in bytes that are skipped here as an operand, and nothing would stop it. So it accepts each
// operand only in the form that compilers write, even if others are allowed. Newer features
// (above all types of more than one byte) are refused, too: wazero decodes them even when
// they are disabled.
func (r *reader) instruction() (op byte, index uint32) {
	at := r.At
	op = r.Byte()
	switch {
	case op <= 0x01, op == 0x05, op == opEnd, op == 0x0f, op == 0x1a, op == 0x1b,
		op >= 0x45 && op <= 0xc4, op == 0xd1:
	case op >= 0x02 && op <= 0x04:
		r.blockType()
	case op == 0xd0:
		r.ReferenceType()
	case op == 0x0c, op == 0x0d, op == opCall, op >= 0x20 && op <= 0x26, op == 0xd2:
		index = r.U32()
	case op == 0x0e:
		for n := r.Count(); n > 0 && r.Err == nil; n-- {
			r.U32()
		}
		r.U32()
	case op == opCallIndirect:
		r.U32()
		r.U32()
	case op == 0x1c:
		r.Fixed(1)
		r.ValueType()
	case op >= 0x28 && op <= 0x3e:
		r.address()
	case op == 0x3f, op == 0x40:
		r.Fixed(0)
	case op == opI32Const:
		r.leb(5)
	case op == 0x42:
		r.leb(10)
	case op == 0x43:
		r.Bytes(4)
	case op == 0x44:
		r.Bytes(8)
	case op == opMisc:
		r.misc(at)
	case op == opVector:
		r.vector(at)
	default:
		r.unknown(at, fmt.Sprintf("%#x", op))
	}
	return op, index
}

// blockType skips a block's type: empty, a value type or the index of a type.
func (r *reader) blockType() {
	switch b := r.Byte(); {
	case r.Err != nil, b == 0x40:
	case b > 0x40 && b < 0x80:
		r.At--
		r.ValueType()
	default:
		r.At--
		// A signed number; only non-negative ones are indexes.
		if r.leb(5); r.Err == nil && r.Data[r.At-1] >= 0x40 {
			r.Fail(errors.New("a block's type that is negative and of more than one byte"))
		}
	}
}

// leb skips a LEB128 number of at most so many bytes.
func (r *reader) leb(most int) {
	for range most {
		if r.Byte()&0x80 == 0 {
			return
		}
	}
	r.Fail(fmt.Errorf("a number of more than %d bytes", most))
}

func (r *reader) address() {
	r.U32() // alignment
	r.U32() // offset
}

func (r *reader) misc(at int) {
	switch sub := r.Byte(); {
	case r.Err != nil:
	case sub <= 7: // conversions
	case sub == 8: // memory.init
		r.U32()
		r.Fixed(0)
	case sub == 10: // memory.copy
		r.Fixed(0)
		r.Fixed(0)
	case sub == 11: // memory.fill
		r.Fixed(0)
	case sub == 9, sub == 13, sub == 16, sub == 17:
		r.U32()
	case sub == 12, sub == 14:
		r.U32()
		r.U32()
	case sub == miscTableGrow:
		r.FailAt(at, errors.New("the instruction table.grow is not allowed: no limit would bound it"))
	default:
		r.unknown(at, fmt.Sprintf("%#x %d", opMisc, sub))
	}
}

func (r *reader) vector(at int) {
	switch sub := r.Byte(); {
	case r.Err != nil:
	case sub >= 0x80: // a number of two bytes, of which wazero reads one
		if r.Byte() != 1 {
			r.unknown(at, fmt.Sprintf("%#x with a number of more than 255", opVector))
		}
	case sub <= 11, sub == 92, sub == 93: // loads and stores
		r.address()
	case sub == 12, sub == 13: // a constant, a shuffle
		r.Bytes(16)
	case sub >= 21 && sub <= 34: // lanes
		r.Byte()
	case sub >= 84 && sub <= 91: // loads and stores of lanes
		r.address()
		r.Byte()
	}
}

func (r *reader) unknown(at int, what string) {
	r.FailAt(at, fmt.Errorf("the instruction %s is not one of WebAssembly 2.0: turn newer features (threads, tail calls, exceptions, relaxed SIMD) off in the compiler", what))
}
