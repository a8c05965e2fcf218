package wasm

import (
	"bytes"
	"fmt"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

// maxTableEntries bounds tables (8 bytes per entry); memory has its own limit.
const maxTableEntries = 1 << 20

type section struct {
	id   byte
	data []byte
}

// split returns the sections of a module. Of the custom ones it keeps only the functions'
// names, for messages.
func split(module []byte) ([]section, error) {
	var sections []section
	for s, err := range wasmfile.Sections(bytes.NewReader(module), int64(len(module))) {
		if err != nil {
			return nil, err
		}
		data := module[s.At:][:s.Size]
		if s.ID == wasmfile.Custom {
			if data = functionNames(data); data == nil {
				continue
			}
		}
		sections = append(sections, section{s.ID, data})
	}
	return sections, nil
}

// functionNames returns a custom section with the names of functions, if this one has them.
// Names are only for messages: a section with an error is ignored, as the specification
// recommends.
func functionNames(data []byte) []byte {
	r := newReader(data)
	if r.Name() != "name" {
		return nil
	}
	for r.More() {
		id, content := r.Byte(), r.Bytes(r.U32())
		if id != 1 || r.Err != nil {
			continue
		}
		in := newReader(content)
		for n := in.Count(); n > 0 && in.Err == nil; n-- {
			in.U32()
			in.Name()
		}
		if in.End(); in.Err != nil {
			return nil
		}
		return appendBytes(append(appendBytes(nil, []byte("name")), id), content)
	}
	return nil
}

// plan is what instrument needs to know of a module.
type plan struct {
	types, functions, globals uint32 // imported ones included
	tableEntries              uint64
	start                     uint32
	started                   bool
	numbered                  bool // it refers to segments of data by their numbers
	needs                     wasmfile.Needs
	locals                    uint64 // that functions may still declare
}

// count walks through a section, except the code, to its end. It refuses lengths that the
// section has no room for: wazero allocates memory for a length before it checks it.
func (p *plan) count(s section) error {
	r := newReader(s.data)
	switch s.id {
	case wasmfile.Custom, wasmfile.Code:
		return nil
	case wasmfile.Start:
		p.start, p.started = r.U32(), true
	case wasmfile.DataCount:
		r.U32()
		p.numbered = true
	default:
		n := r.Count()
		for i := uint32(0); i < n && r.Err == nil; i++ {
			p.element(s.id, r)
		}
		switch s.id {
		case wasmfile.Imports:
			if err := p.needs.Err(); err != nil && r.Err == nil {
				return err
			}
		case wasmfile.Types:
			p.types = n
		case wasmfile.Functions:
			p.functions += n
		case wasmfile.Globals:
			p.globals = n
		}
	}
	if r.End(); r.Err != nil {
		return fmt.Errorf("section %d: %w", s.id, r.Err)
	}
	return nil
}

// element walks through one element of a section that is a vector.
func (p *plan) element(section byte, r *reader) {
	switch section {
	case wasmfile.Types:
		r.FuncType()
	case wasmfile.Imports:
		i, _ := r.Import()
		p.needs.Add(i)
		p.functions++ // nothing else can be imported
	case wasmfile.Functions:
		r.U32()
	case wasmfile.Tables:
		r.ReferenceType()
		p.tableEntries += uint64(r.Limits())
		if p.tableEntries > maxTableEntries {
			r.Fail(fmt.Errorf("tables of %d entries; at most %d are allowed", p.tableEntries, maxTableEntries))
		}
	case wasmfile.Memories:
		r.Limits()
	case wasmfile.Globals:
		r.ValueType()
		r.Byte()
		r.expression()
	case wasmfile.Exports:
		if e := r.Export(); e.Name == stopExport || e.Name == startExport {
			r.Fail(fmt.Errorf("it exports %q, a name that is reserved", e.Name))
		}
	case wasmfile.Elements:
		r.elements()
	case wasmfile.Data:
		mode := r.U32()
		if mode == 2 {
			r.U32()
		}
		if mode != 1 {
			r.expression()
		}
		r.Bytes(r.U32())
	}
}

// expression skips a constant expression.
func (r *reader) expression() {
	for r.Err == nil {
		if op, _ := r.instruction(); op == opEnd {
			return
		}
	}
}

// elements skips a segment of elements. The bits of its mode are 1: not written to a table at
// the start; 2: it has a table's index, or is only declared; 4: expressions instead of
// functions.
func (r *reader) elements() {
	mode := r.U32()
	if r.Err == nil && mode > 7 {
		r.Fail(fmt.Errorf("elements of the mode %d", mode))
	}
	if mode&1 == 0 {
		if mode&2 != 0 {
			r.U32()
		}
		r.expression()
	}
	if mode&3 != 0 {
		if mode&4 != 0 {
			r.ReferenceType()
		} else {
			r.Fixed(0)
		}
	}
	for n := r.Count(); n > 0 && r.Err == nil; n-- {
		if mode&4 != 0 {
			r.expression()
		} else {
			r.U32()
		}
	}
}
