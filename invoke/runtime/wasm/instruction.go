package wasm

import "fmt"

// The instructions that instrumenting is about.
const (
	opLoop         = 0x03
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
func (r *reader) instruction() (op byte, index uint32) {
	at := r.at
	op = r.byte()
	switch {
	case op <= 0x01, op == 0x05, op == 0x0b, op == 0x0f, op == 0x1a, op == 0x1b,
		op >= 0x45 && op <= 0xc4, op == 0xd1:
	case op >= 0x02 && op <= 0x04, op == 0xd0: // a block's type, a reference's type
		r.leb(5)
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
		r.bytes(r.u32())
	case op >= 0x28 && op <= 0x3e:
		r.address()
	case op == 0x3f, op == 0x40:
		r.byte()
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

func (r *reader) address() {
	r.u32() // alignment
	r.u32() // offset
}

func (r *reader) misc(at int) {
	switch sub := r.u32(); {
	case sub <= 7: // conversions
	case sub == 9, sub == 11, sub == 13, sub == 16, sub == 17:
		r.u32()
	case sub == 8, sub == 10, sub == 12, sub == 14:
		r.u32()
		r.u32()
	case sub == miscTableGrow:
		r.at = at
		r.fail(fmt.Errorf("the instruction table.grow is not allowed: no limit would bind it"))
	default:
		r.unknown(at, fmt.Sprintf("%#x %d", opMisc, sub))
	}
}

func (r *reader) vector(at int) {
	switch sub := r.u32(); {
	case sub <= 11, sub == 92, sub == 93: // loads and stores
		r.address()
	case sub == 12, sub == 13: // a constant, a shuffle
		r.bytes(16)
	case sub >= 21 && sub <= 34: // lanes
		r.byte()
	case sub >= 84 && sub <= 91: // loads and stores of lanes
		r.address()
		r.byte()
	case sub <= 255:
	default:
		r.unknown(at, fmt.Sprintf("%#x %d", opVector, sub))
	}
}

func (r *reader) unknown(at int, what string) {
	r.at = at
	r.fail(fmt.Errorf("the instruction %s is not one of WebAssembly 2.0: turn newer features (threads, tail calls, exceptions, relaxed SIMD) off in the compiler", what))
}
