package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

const (
	sectionCustom    = 0
	sectionType      = 1
	sectionImport    = 2
	sectionFunction  = 3
	sectionTable     = 4
	sectionMemory    = 5
	sectionGlobal    = 6
	sectionExport    = 7
	sectionStart     = 8
	sectionElement   = 9
	sectionCode      = 10
	sectionData      = 11
	sectionDataCount = 12
)

// sectionOrder is the order of sections.
var sectionOrder = []byte{
	sectionType, sectionImport, sectionFunction, sectionTable, sectionMemory, sectionGlobal, sectionExport,
	sectionStart, sectionElement, sectionDataCount, sectionCode, sectionData,
}

// maxTableEntries bounds what tables take (8 bytes each); memory has a limit of its own.
const maxTableEntries = 1 << 20

var errNotWasm = errors.New(`it does not begin with "\0asm" and version 1: not a WebAssembly module`)

type section struct {
	id   byte
	data []byte
}

// split returns the sections of a module, of the custom ones only the functions'
// names, for messages.
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
			if names := functionNames(data); names != nil {
				sections = append(sections, section{id, names})
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

// functionNames returns a custom section with the names of functions, if that is
// what this one has. Names are only for messages: a section with anything wrong is
// ignored, as the specification asks.
func functionNames(data []byte) []byte {
	r := &reader{data: data}
	if r.name() != "name" {
		return nil
	}
	for r.more() {
		id, content := r.byte(), r.bytes(r.u32())
		if id != 1 || r.err != nil {
			continue
		}
		in := &reader{data: content}
		for n := in.u32(); n > 0 && in.err == nil; n-- {
			in.u32()
			if !utf8.ValidString(in.name()) {
				return nil
			}
		}
		if in.err != nil || in.more() {
			return nil
		}
		return appendBytes(append(appendBytes(nil, []byte("name")), id), content)
	}
	return nil
}

// plan is what there is in a module, which says where additions go.
type plan struct {
	types, functions, globals uint32 // imported ones included
	tableEntries              uint64
	start                     uint32
	started                   bool
	locals                    uint64 // that functions may still have
}

// count walks through a section, except the code, to its end. Lengths that the
// section does not have room for end here: wazero takes memory for what a length
// says before it looks whether there is so much.
func (p *plan) count(s section) error {
	r := &reader{data: s.data}
	switch s.id {
	case sectionCustom, sectionCode:
		return nil
	case sectionStart:
		p.start, p.started = r.u32(), true
	case sectionDataCount:
		r.u32()
	default:
		n := r.u32()
		for range n {
			if r.err != nil {
				break
			}
			p.element(s.id, r)
		}
		switch s.id {
		case sectionType:
			p.types = n
		case sectionFunction:
			p.functions += n
		case sectionGlobal:
			p.globals = n
		}
	}
	if r.more() {
		r.fail(errors.New("there is something behind the last element"))
	}
	if r.err != nil {
		return fmt.Errorf("section %d: %w", s.id, r.err)
	}
	return nil
}

// element walks through one element of a section that is a vector.
func (p *plan) element(section byte, r *reader) {
	switch section {
	case sectionType:
		r.fixed(0x60)
		for range 2 { // parameters, results
			for n := r.u32(); n > 0 && r.err == nil; n-- {
				r.valueType()
			}
		}
	case sectionImport:
		module, name := r.name(), r.name()
		if kind := r.byte(); r.err == nil && kind != 0 {
			// Nothing but functions is there to be imported.
			r.fail(fmt.Errorf("it imports %s.%s, which is not a function: memories, tables and globals have to be its own", module, name))
		}
		r.u32()
		p.functions++
	case sectionFunction:
		r.u32()
	case sectionTable:
		r.referenceType()
		p.tableEntries += uint64(r.limits())
		if p.tableEntries > maxTableEntries {
			r.fail(fmt.Errorf("tables of %d entries; at most %d are allowed", p.tableEntries, maxTableEntries))
		}
	case sectionMemory:
		r.limits()
	case sectionGlobal:
		r.valueType()
		r.byte()
		r.expression()
	case sectionExport:
		if name := r.name(); name == stopExport || name == startExport {
			r.fail(fmt.Errorf("it exports %q, a name that is reserved", name))
		}
		r.byte()
		r.u32()
	case sectionElement:
		r.elements()
	case sectionData:
		mode := r.u32()
		if mode == 2 {
			r.u32()
		}
		if mode != 1 {
			r.expression()
		}
		r.bytes(r.u32())
	}
}

// limits skips the size of a table or memory and returns the smallest.
func (r *reader) limits() (least uint32) {
	flags := r.byte()
	if r.err == nil && flags > 1 {
		r.at--
		r.fail(errors.New("a shared or 64-bit memory: turn these features off in the compiler"))
	}
	least = r.u32()
	if flags == 1 {
		r.u32()
	}
	return least
}

// expression skips a constant expression.
func (r *reader) expression() {
	for r.err == nil {
		if op, _ := r.instruction(); op == opEnd {
			return
		}
	}
}

// elements skips a segment of elements. The bits of its mode are 1: not written to
// a table at the start; 2: there is a table's index, or it is only declared;
// 4: expressions instead of functions.
func (r *reader) elements() {
	mode := r.u32()
	if r.err == nil && mode > 7 {
		r.fail(fmt.Errorf("elements of the mode %d", mode))
	}
	if mode&1 == 0 {
		if mode&2 != 0 {
			r.u32()
		}
		r.expression()
	}
	if mode&3 != 0 {
		if mode&4 != 0 {
			r.referenceType()
		} else {
			r.fixed(0)
		}
	}
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		if mode&4 != 0 {
			r.expression()
		} else {
			r.u32()
		}
	}
}
