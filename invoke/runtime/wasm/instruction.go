package wasm

import (
	"errors"
	"fmt"
)

// The instructions that instrumenting is about.
const (
	opLoop         = 0x03
	opEnd          = 0x0b
	opCall         = 0x10
	opCallIndirect = 0x11
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opMisc         = 0xfc
	opVector       = 0xfd
	miscTableGrow  = 15
)

// instruction skips one instruction, its operands included, and returns its
// opcode and, for those that have one, the index that it names. It knows
// WebAssembly 2.0; whether the operands are valid is for the compiler to see.
//
// It must never see other instructions than the compiler does: a module could hide
// a loop in what is skipped here as an operand, and nothing would stop it. So it
// takes each operand in the one form that compilers write, and refuses others,
// even those that are allowed. What newer versions added (types of more than one
// byte, above all) is refused, too: wazero reads it whether it is enabled or not.
func (r *reader) instruction() (op byte, index uint32) {
	at := r.at
	op = r.byte()
	switch {
	case op <= 0x01, op == 0x05, op == opEnd, op == 0x0f, op == 0x1a, op == 0x1b,
		op >= 0x45 && op <= 0xc4, op == 0xd1:
	case op >= 0x02 && op <= 0x04:
		r.blockType()
	case op == 0xd0:
		r.referenceType()
	case op == 0x0c, op == 0x0d, op == opCall, op >= 0x20 && op <= 0x26, op == 0xd2:
		index = r.u32()
	case op == 0x0e:
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			r.u32()
		}
		r.u32()
	case op == opCallIndirect:
		r.u32()
		r.u32()
	case op == 0x1c:
		r.fixed(1)
		r.valueType()
	case op >= 0x28 && op <= 0x3e:
		r.address()
	case op == 0x3f, op == 0x40:
		r.fixed(0)
	case op == 0x41:
		r.leb(5)
	case op == 0x42:
		r.leb(10)
	case op == 0x43:
		r.bytes(4)
	case op == 0x44:
		r.bytes(8)
	case op == opMisc:
		r.misc(at)
	case op == opVector:
		r.vector(at)
	default:
		r.unknown(at, fmt.Sprintf("%#x", op))
	}
	return op, index
}

// blockType skips a block's type: none, a value's type or the index of a type.
func (r *reader) blockType() {
	if r.at >= len(r.data) {
		r.fail(errTruncated)
		return
	}
	switch b := r.data[r.at]; {
	case b == 0x40:
		r.at++
	case b >= 0x40 && b < 0x80:
		r.valueType()
	default:
		// A number with a sign, of which only the other half are indexes.
		if r.leb(5); r.err == nil && r.data[r.at-1] >= 0x40 {
			r.fail(errors.New("a block's type that is negative and of more than one byte"))
		}
	}
}

func (r *reader) valueType() {
	switch b := r.byte(); {
	case r.err != nil:
	case b >= 0x7b && b <= 0x7f:
	case b == 0x6f, b == 0x70:
	default:
		r.at--
		r.unknownType(b)
	}
}

func (r *reader) referenceType() {
	if b := r.byte(); r.err == nil && b != 0x6f && b != 0x70 {
		r.at--
		r.unknownType(b)
	}
}

// fixed skips a byte that can only have one value.
func (r *reader) fixed(value byte) {
	if b := r.byte(); r.err == nil && b != value {
		r.at--
		r.fail(fmt.Errorf("%#x where only %#x is possible", b, value))
	}
}

func (r *reader) address() {
	r.u32() // alignment
	r.u32() // offset
}

func (r *reader) misc(at int) {
	switch sub := r.byte(); {
	case r.err != nil:
	case sub <= 7: // conversions
	case sub == 8: // memory.init
		r.u32()
		r.fixed(0)
	case sub == 10: // memory.copy
		r.fixed(0)
		r.fixed(0)
	case sub == 11: // memory.fill
		r.fixed(0)
	case sub == 9, sub == 13, sub == 16, sub == 17:
		r.u32()
	case sub == 12, sub == 14:
		r.u32()
		r.u32()
	case sub == miscTableGrow:
		r.at = at
		r.fail(errors.New("the instruction table.grow is not allowed: no limit would bind it"))
	default:
		r.unknown(at, fmt.Sprintf("%#x %d", opMisc, sub))
	}
}

func (r *reader) vector(at int) {
	switch sub := r.byte(); {
	case r.err != nil:
	case sub >= 0x80: // a number of two bytes, of which wazero reads one
		if r.byte() != 1 {
			r.unknown(at, fmt.Sprintf("%#x with a number of more than 255", opVector))
		}
	case sub <= 11, sub == 92, sub == 93: // loads and stores
		r.address()
	case sub == 12, sub == 13: // a constant, a shuffle
		r.bytes(16)
	case sub >= 21 && sub <= 34: // lanes
		r.byte()
	case sub >= 84 && sub <= 91: // loads and stores of lanes
		r.address()
		r.byte()
	}
}

func (r *reader) unknown(at int, what string) {
	r.at = at
	r.fail(fmt.Errorf("the instruction %s is not one of WebAssembly 2.0: turn newer features (threads, tail calls, exceptions, relaxed SIMD) off in the compiler", what))
}

func (r *reader) unknownType(b byte) {
	r.fail(fmt.Errorf("the type %#x is not one of WebAssembly 2.0: turn newer features (typed references, garbage collection, exceptions) off in the compiler", b))
}
