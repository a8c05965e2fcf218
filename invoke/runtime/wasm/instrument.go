package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Instrumenting makes a module's code stoppable: at the head of every loop and at
// the entry of every function that calls, it counts a global variable down and,
// when that has come to zero, calls a function that enters Go for a moment (where
// the garbage collector may stop the goroutine) and traps if it was told to stop.
//
// wazero can do the like (WithCloseOnContextDone). But it enters Go at the head of
// every loop each time, which makes loops 5 to 25 times slower, needs 3
// allocations and a goroutine for each call, and does not stop a recursion.

// The names of what is added.
const (
	stopExport  = "rfaas_stop"  // a global; not zero: trap
	startExport = "rfaas_start" // the start function, called when a watchdog looks
)

// checkPeriod is how many loop iterations and calls are between two looks.
const checkPeriod = 4096

// maxTableEntries bounds what a table takes (8 bytes each); memory has a limit of its own.
const maxTableEntries = 1 << 20

const (
	sectionCustom   = 0
	sectionType     = 1
	sectionImport   = 2
	sectionFunction = 3
	sectionTable    = 4
	sectionGlobal   = 6
	sectionExport   = 7
	sectionStart    = 8
	sectionCode     = 10
)

// sectionOrder is the order of sections: 13 is tags, 12 is the count of data segments.
var sectionOrder = []byte{1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11}

var errNotWasm = errors.New(`it does not begin with "\0asm" and version 1: not a WebAssembly module`)

type section struct {
	id   byte
	data []byte
}

// instrument returns the module with checks, without its start section, and
// without custom sections but the names.
func instrument(module []byte) ([]byte, error) {
	sections, err := split(module)
	if err != nil {
		return nil, err
	}
	p := plan{types: 0}
	for _, s := range sections {
		p.count(s)
	}
	if p.err != nil {
		return nil, p.err
	}
	if !slices.ContainsFunc(sections, func(s section) bool { return s.id == sectionGlobal }) {
		after := slices.IndexFunc(sections, func(s section) bool {
			return slices.Index(sectionOrder, s.id) > slices.Index(sectionOrder, sectionGlobal)
		})
		sections = slices.Insert(sections, max(after, 0), section{sectionGlobal, []byte{0}})
	}
	out := append(make([]byte, 0, len(module)+len(module)/4), module[:8]...)
	for _, s := range sections {
		data, err := p.rewrite(s)
		if err != nil {
			return nil, err
		}
		if s.id != sectionStart {
			out = appendBytes(append(out, s.id), data)
		}
	}
	return out, nil
}

func split(module []byte) ([]section, error) {
	if len(module) < 8 || !bytes.Equal(module[:8], []byte("\x00asm\x01\x00\x00\x00")) {
		return nil, errNotWasm
	}
	var sections []section
	last := -1
	for r := (&reader{data: module, at: 8}); r.at < len(module) || r.err != nil; {
		id := r.byte()
		data := r.bytes(r.u32())
		if r.err != nil {
			return nil, r.err
		}
		if id == sectionCustom {
			if (&reader{data: data}).name() == "name" {
				sections = append(sections, section{id, data})
			}
			continue
		}
		place := slices.Index(sectionOrder, id)
		if place < 0 || place <= last {
			return nil, fmt.Errorf("section %d is unknown, repeated or at the wrong place", id)
		}
		last = place
		sections = append(sections, section{id, data})
	}
	return sections, nil
}

// plan is what there is in a module, which says where additions go.
type plan struct {
	types, functions, globals uint32 // imported ones included
	bodies                    bool
	start                     uint32
	started                   bool
	err                       error
}

func (p *plan) count(s section) {
	r := &reader{data: s.data}
	switch s.id {
	case sectionType:
		p.types = r.u32()
	case sectionImport:
		p.countImports(r)
	case sectionFunction:
		n := r.u32()
		if uint64(n)+uint64(p.functions) > 1<<24 {
			r.fail(errors.New("more than 16 million functions"))
		}
		p.functions += n
	case sectionTable:
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			r.byte()
			flags := r.u32()
			if entries := r.u32(); entries > maxTableEntries {
				r.fail(fmt.Errorf("a table of %d entries; at most %d are allowed", entries, maxTableEntries))
			}
			if flags&1 != 0 {
				r.u32()
			}
		}
	case sectionGlobal:
		n := r.u32()
		if uint64(n)+uint64(p.globals) > 1<<24 {
			r.fail(errors.New("more than 16 million globals"))
		}
		p.globals += n
	case sectionExport:
		for n := r.u32(); n > 0 && r.err == nil; n-- {
			if name := r.name(); name == stopExport || name == startExport {
				r.fail(fmt.Errorf("it exports %q, a name that is reserved", name))
			}
			r.byte()
			r.u32()
		}
	case sectionStart:
		p.start, p.started = r.u32(), true
	case sectionCode:
		p.bodies = true
	}
	if r.err != nil && p.err == nil {
		p.err = fmt.Errorf("section %d: %w", s.id, r.err)
	}
}

func (p *plan) countImports(r *reader) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		module, name := r.name(), r.name()
		switch kind := r.byte(); kind {
		case 0:
			r.u32()
			p.functions++
		default:
			// Nothing but functions is there to be imported.
			r.fail(fmt.Errorf("it imports %s.%s, which is not a function: memories, tables and globals have to be its own", module, name))
		}
	}
}

func (p *plan) rewrite(s section) ([]byte, error) {
	fuel, stop, check := p.globals, p.globals+1, p.functions
	switch s.id {
	case sectionType:
		return extend(s.data, 1, []byte{0x60, 0, 0}) // () -> ()
	case sectionFunction:
		return extend(s.data, 1, appendU32(nil, p.types))
	case sectionGlobal:
		return extend(s.data, 2, []byte{
			0x7f, 1, 0x41, 1, 0x0b, // fuel: (mut i32) 1
			0x7f, 1, 0x41, 0, 0x0b, // stop: (mut i32) 0
		})
	case sectionExport:
		more, n := append(appendBytes(nil, []byte(stopExport)), 3), uint32(1)
		more = appendU32(more, stop)
		if p.started {
			more, n = append(appendBytes(more, []byte(startExport)), 0), 2
			more = appendU32(more, p.start)
		}
		return extend(s.data, n, more)
	case sectionCode:
		return p.code(s.data, fuel, stop, check)
	}
	return s.data, nil
}

// extend appends n elements to a section that is a vector.
func extend(data []byte, n uint32, elements []byte) ([]byte, error) {
	r := &reader{data: data}
	count := r.u32()
	if r.err != nil {
		return nil, r.err
	}
	return append(append(appendU32(nil, count+n), data[r.at:]...), elements...), nil
}

// code rewrites the bodies of all functions.
func (p *plan) code(data []byte, fuel, stop, check uint32) ([]byte, error) {
	look := appendU32([]byte{opGlobalGet}, fuel)
	look = append(look, 0x41, 1, 0x6b, opGlobalSet) // i32.const 1; i32.sub
	look = append(appendU32(look, fuel), opGlobalGet)
	look = append(appendU32(look, fuel), 0x45, 0x04, 0x40, opCall) // i32.eqz; if
	look = append(appendU32(look, check), 0x0b)

	r := &reader{data: data}
	count := r.u32()
	out := appendU32(make([]byte, 0, len(data)+len(data)/4), count+1)
	var body []byte
	for i := range count {
		var err error
		if body, err = p.body(body[:0], r.bytes(r.u32()), look); err != nil {
			return nil, fmt.Errorf("function body %d: %w", i, err)
		}
		if r.err != nil {
			return nil, r.err
		}
		out = appendBytes(out, body)
	}
	if r.at != len(data) {
		return nil, errors.New("there is something behind the last function body")
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
	r := &reader{data: body}
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		r.u32()
		r.byte()
	}
	out = append(out, body[:r.at]...)
	entry := len(out)
	calls := false
	from := r.at
	for r.more() {
		op, index := r.instruction()
		switch {
		case r.err != nil:
		case op == opLoop:
			out = append(append(out, body[from:r.at]...), look...)
			from = r.at
		case op == opCall || op == opCallIndirect:
			calls = true
		case (op == opGlobalGet || op == opGlobalSet) && index >= p.globals:
			// It would be one of those that are added.
			r.fail(fmt.Errorf("there is no global %d", index))
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	out = append(out, body[from:]...)
	if calls {
		out = slices.Insert(out, entry, look...)
	}
	return out, nil
}
