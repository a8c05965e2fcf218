package pack

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// maxWasmSectionBytes bounds a section that is read. With the bounds on what is kept of it,
// a module of gigabytes takes megabytes of memory. Code and data are not read.
const maxWasmSectionBytes = 32 << 20

// wasmModule is what is kept of a module.
type wasmModule struct {
	types     []wasmType
	functions []uint32 // the type of each function, imported ones first
	exports   []wasmfile.Export
	imported  map[string]bool // modules
	needs     wasmfile.Needs
}

// wasmType is what is kept of a type: whether it is that of entry points, or of a command's start.
type wasmType struct{ entry, start bool }

// readWasm reads a WebAssembly module.
func readWasm(r io.ReaderAt, size int64) (*Code, error) {
	switch {
	case hasMagic(r, wasmfile.ComponentHeader):
		return nil, wasmfile.ErrComponent
	case !hasMagic(r, wasmfile.Header):
		return nil, errors.New("is not a core WebAssembly module of version 1: build a module")
	}
	m := wasmModule{imported: map[string]bool{}}
	for s, err := range wasmfile.Sections(r, size) {
		if err != nil {
			return nil, fmt.Errorf("is damaged or cut off: %w", err)
		}
		if err := m.section(r, s); err != nil {
			return nil, fmt.Errorf("is damaged: section %d at byte %d: %w", s.ID, s.At, err)
		}
	}
	return m.code()
}

// section reads a section whose content is needed.
func (m *wasmModule) section(r io.ReaderAt, s wasmfile.Section) error {
	var read func(*wasmfile.Reader)
	switch s.ID {
	case wasmfile.Types:
		read = func(body *wasmfile.Reader) {
			t := body.FuncType()
			m.types = append(m.types, wasmType{t.Equal(wasmfile.EntryType), t.Equal(wasmfile.FuncType{})})
		}
	case wasmfile.Imports:
		read = m.readImport
	case wasmfile.Functions:
		read = func(body *wasmfile.Reader) { m.functions = append(m.functions, body.U32()) }
	case wasmfile.Exports:
		read = func(body *wasmfile.Reader) { m.exports = append(m.exports, body.Export()) }
	default:
		return nil
	}
	if s.Size > maxWasmSectionBytes {
		return fmt.Errorf("it has %d bytes: must be at most %d", s.Size, maxWasmSectionBytes)
	}
	data := make([]byte, s.Size)
	if _, err := io.ReadFull(io.NewSectionReader(r, s.At, s.Size), data); err != nil {
		return err
	}
	body := &wasmfile.Reader{Data: data}
	n := body.Count()
	if n > maxEntryPoints {
		return fmt.Errorf("a list of %d elements: must be at most %d", n, maxEntryPoints)
	}
	for ; n > 0 && body.Err == nil; n-- {
		read(body)
	}
	body.End()
	return body.Err
}

func (m *wasmModule) readImport(body *wasmfile.Reader) {
	i, typeOf := body.Import()
	if i.Kind == wasmfile.Function {
		m.functions = append(m.functions, typeOf)
	}
	m.imported[i.Module] = true
	m.needs.Add(i)
	if len(m.imported) > maxNeeded {
		body.Fail(fmt.Errorf("imports from more than %d modules", maxNeeded))
	}
}

// code makes the Code of a module.
func (m *wasmModule) code() (*Code, error) {
	code := &Code{Runtime: runtime.Wasm, Target: "wasm32", EntryPoints: []string{}}
	names := map[string]bool{}
	var memory, alloc, command, initialize bool
	for _, e := range m.exports {
		if names[e.Name] {
			return nil, fmt.Errorf("is damaged: it exports %s twice", shown(e.Name))
		}
		names[e.Name] = true
		memory = memory || e.Kind == wasmfile.Memory && e.Name == wasmfile.MemoryExport
		if e.Kind != wasmfile.Function {
			continue
		}
		alloc = alloc || e.Name == wasmfile.AllocExport
		if int64(e.Index) >= int64(len(m.functions)) || int64(m.functions[e.Index]) >= int64(len(m.types)) {
			return nil, fmt.Errorf("is damaged: the export %s is a function that does not exist", shown(e.Name))
		}
		of := m.types[m.functions[e.Index]]
		command = command || of.start && e.Name == wasmfile.CommandExport
		initialize = initialize || e.Name == wasmfile.InitializeExport
		if of.entry && wasmfile.IsEntry(e.Name) {
			code.EntryPoints = append(code.EntryPoints, e.Name)
		}
	}
	if command = command && !initialize; command {
		code.EntryPoints = []string{wasmfile.CommandExport}
	}
	slices.Sort(code.EntryPoints)
	code.Needed = slices.AppendSeq([]string{}, maps.Keys(m.imported))
	slices.Sort(code.Needed)
	switch follows := memory && (alloc || command); {
	case follows: // what loads it says what its imports lack
	case m.needs.Err() != nil: // this explains the rest
		code.obstacle = fmt.Errorf("pack: the module cannot be run: %w", m.needs.Err())
	default:
		code.obstacle = errors.New("pack: the module does not follow the convention of rfaas: it must export its memory as \"" + wasmfile.MemoryExport +
			"\", and a function \"" + wasmfile.AllocExport + "\" or, as a program, \"" + wasmfile.CommandExport + "\", see the documentation of invoke/runtime/wasm")
	}
	return code, nil
}
