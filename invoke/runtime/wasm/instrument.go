package wasm

import (
	"errors"
	"fmt"
	"slices"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

// Instrumenting makes a module's code stoppable. At the head of every loop and at the entry of
// every function that calls, it decrements a global variable. When that is zero, it calls a
// function that enters Go for a moment (so that the garbage collector can stop the goroutine)
// and traps if it should stop.
//
// wazero has a similar feature (WithCloseOnContextDone). But it enters Go at the head of every
// loop each time, which makes loops 5 to 25 times slower, needs 3 allocations and a goroutine
// for each call, and does not stop a recursion.

// The names of what is added.
const (
	stopExport  = "rfaas_stop"  // a global; if not zero, the next check traps
	startExport = "rfaas_start" // the start function, called under the watchdog
)

// checkPeriod is how many loop iterations and calls are between two checks.
const checkPeriod = 4096

// maxLocals is how many local variables all functions may declare, in addition to the
// module's size in bytes: the compiler takes memory for each, and a few bytes can declare any
// number.
const maxLocals = 50_000

// instrument returns the module with checks, without its start section, and without custom
// sections other than the names. check is the index of the function that it calls.
func instrument(module []byte) (out []byte, check uint32, err error) {
	sections, err := split(module)
	if err != nil {
		return nil, 0, err
	}
	p, there := plan{locals: maxLocals + uint64(len(module))}, map[byte]bool{}
	for _, s := range sections {
		if err := p.count(s); err != nil {
			return nil, 0, err
		}
		there[s.id] = true
	}
	if !there[wasmfile.Types] || !there[wasmfile.Functions] || !there[wasmfile.Exports] || !there[wasmfile.Code] {
		return nil, 0, errors.New("it exports no functions, so there is nothing to call")
	}
	if !there[wasmfile.Globals] {
		after := slices.IndexFunc(sections, func(s section) bool {
			return wasmfile.Place(s.id) > wasmfile.Place(wasmfile.Globals)
		})
		sections = slices.Insert(sections, max(after, 0), section{wasmfile.Globals, []byte{0}})
	}
	out = append(make([]byte, 0, len(module)+len(module)/4), module[:8]...)
	for _, s := range sections {
		data, err := p.rewrite(s)
		if err != nil {
			return nil, 0, err
		}
		if s.id != wasmfile.Start {
			out = appendBytes(append(out, s.id), data)
		}
	}
	return out, p.functions, nil
}

func (p *plan) rewrite(s section) ([]byte, error) {
	fuel, stop, check := p.globals, p.globals+1, p.functions
	switch s.id {
	case wasmfile.Types:
		return extend(s.data, 1, []byte{0x60, 0, 0}) // () -> ()
	case wasmfile.Functions:
		return extend(s.data, 1, appendU32(nil, p.types))
	case wasmfile.Globals:
		return extend(s.data, 2, []byte{
			0x7f, 1, 0x41, 1, 0x0b, // fuel: (mut i32) 1
			0x7f, 1, 0x41, 0, 0x0b, // stop: (mut i32) 0
		})
	case wasmfile.Exports:
		more, n := append(appendBytes(nil, []byte(stopExport)), 3), uint32(1)
		more = appendU32(more, stop)
		if p.started {
			more, n = append(appendBytes(more, []byte(startExport)), 0), 2
			more = appendU32(more, p.start)
		}
		return extend(s.data, n, more)
	case wasmfile.Code:
		return p.code(s.data, fuel, stop, check)
	case wasmfile.Data:
		if !p.numbered {
			return joinData(s.data), nil
		}
	}
	return s.data, nil
}

// extend appends n elements to a section that is a vector.
func extend(data []byte, n uint32, elements []byte) ([]byte, error) {
	r := newReader(data)
	count := r.Count()
	if r.Err != nil {
		return nil, r.Err
	}
	return append(append(appendU32(nil, count+n), data[r.At:]...), elements...), nil
}

// code rewrites the bodies of all functions.
func (p *plan) code(data []byte, fuel, stop, check uint32) ([]byte, error) {
	look := appendU32([]byte{opGlobalGet}, fuel)
	look = append(look, 0x41, 1, 0x6b, opGlobalSet) // i32.const 1; i32.sub
	look = append(appendU32(look, fuel), opGlobalGet)
	look = append(appendU32(look, fuel), 0x45, 0x04, 0x40, opCall) // i32.eqz; if
	look = append(appendU32(look, check), 0x0b)

	r := newReader(data)
	count := r.Count()
	out := appendU32(make([]byte, 0, len(data)+len(data)/4), count+1)
	var body []byte
	for i := range count {
		var err error
		if body, err = p.body(body[:0], r.Bytes(r.U32()), look); err != nil {
			return nil, fmt.Errorf("function body %d: %w", i, err)
		}
		if r.Err != nil {
			return nil, r.Err
		}
		out = appendBytes(out, body)
	}
	if r.End(); r.Err != nil {
		return nil, r.Err
	}

	body = append(body[:0], 0, 0x41) // no locals; i32.const
	body = append(body, checkPeriod&0x7f|0x80, checkPeriod>>7, opGlobalSet)
	body = appendU32(body, fuel)
	body = append(body, 0x41, 0, 0x40, 0, 0x1a, opGlobalGet) // memory.grow by nothing enters Go
	body = appendU32(body, stop)
	body = append(body, 0x04, 0x40, 0x00, 0x0b, 0x0b) // if it is set: unreachable
	return appendBytes(out, body), nil
}

// body appends the body of a function with checks.
func (p *plan) body(out, body, look []byte) ([]byte, error) {
	r := newReader(body)
	locals := uint64(0)
	for n := r.Count(); n > 0 && r.Err == nil; n-- {
		locals += uint64(r.U32())
		r.ValueType()
	}
	if locals > p.locals {
		r.Fail(fmt.Errorf("%d local variables, which is too many", locals))
	}
	p.locals -= locals
	out = append(out, body[:r.At]...)
	entry := len(out)
	calls := false
	from := r.At
	for r.More() {
		op, index := r.instruction()
		switch {
		case r.Err != nil:
		case op == opLoop:
			out = append(append(out, body[from:r.At]...), look...)
			from = r.At
		case op == opCall || op == opCallIndirect:
			calls = true
		case (op == opGlobalGet || op == opGlobalSet) && index >= p.globals:
			// It would be one of the added ones.
			r.Fail(fmt.Errorf("there is no global %d", index))
		}
	}
	if r.Err != nil {
		return nil, r.Err
	}
	out = append(out, body[from:]...)
	if calls {
		out = slices.Insert(out, entry, look...)
	}
	return out, nil
}

// appendU32 appends a number in LEB128.
func appendU32(b []byte, v uint32) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// appendBytes appends the number of bytes, and the bytes.
func appendBytes(b, data []byte) []byte {
	return append(appendU32(b, uint32(len(data))), data...)
}
