package pack

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// The format: https://webassembly.github.io/spec/core/binary/modules.html
const (
	wasmVersion = "\x01\x00\x00\x00"

	// sections
	wasmTypes     = 1
	wasmImports   = 2
	wasmFunctions = 3
	wasmExports   = 7

	// kinds of imports and exports
	wasmFunctionKind = 0
	wasmTableKind    = 1
	wasmMemoryKind   = 2
	wasmGlobalKind   = 3
	wasmTagKind      = 4

	wasmFunctionType  = 0x60
	wasmLimitsMaximum = 0x01 // flags of limits
	wasmLimits64      = 0x04

	maxWasmNameBytes = 64 << 10
)

// wasmModule is what is read of a module.
type wasmModule struct {
	types     []bool   // of each type, whether entry points have it
	functions []uint32 // the type of each function, imported ones first
	exports   []wasmExport
	imported  map[string]bool // modules
}

type wasmExport struct {
	name  string
	kind  byte
	index uint32
}

// readWasm reads a WebAssembly module.
func readWasm(r io.ReaderAt, size int64) (*Code, error) {
	if !hasMagic(r, magicWasm+wasmVersion) {
		return nil, errors.New("is not a core WebAssembly module of version 1; components are not supported: build a module")
	}
	m := wasmModule{imported: map[string]bool{}}
	for at := int64(len(magicWasm + wasmVersion)); at < size; {
		head := &wasmReader{in: bufio.NewReaderSize(io.NewSectionReader(r, at, size-at), 16), left: size - at}
		id, length := head.byte(), int64(head.u32())
		at = size - head.left
		if head.err != nil || length > head.left {
			return nil, fmt.Errorf("is damaged or cut off in section %d at byte %d", id, at)
		}
		body := &wasmReader{in: bufio.NewReader(io.NewSectionReader(r, at, length)), left: length}
		m.section(id, body)
		if body.err == nil && body.left != 0 {
			body.err = errors.New("it is longer than its content")
		}
		if body.err != nil {
			return nil, fmt.Errorf("is damaged: section %d at byte %d: %w", id, at, body.err)
		}
		at += length
	}
	return m.code()
}

func (m *wasmModule) section(id byte, body *wasmReader) {
	switch id {
	case wasmTypes:
		for range body.count() {
			m.types = append(m.types, body.functionType())
		}
	case wasmImports:
		m.imports(body)
	case wasmFunctions:
		for range body.count() {
			m.functions = append(m.functions, body.u32())
		}
	case wasmExports:
		for range body.count() {
			m.exports = append(m.exports, wasmExport{body.name(), body.byte(), body.u32()})
		}
	default:
		body.left = 0
	}
}

// code is the module in terms of packages.
func (m *wasmModule) code() (*Code, error) {
	code := &Code{Runtime: runtime.Wasm, Target: "wasm32", EntryPoints: []string{}}
	names := map[string]bool{}
	var memory, alloc bool
	for _, e := range m.exports {
		if names[e.name] {
			return nil, fmt.Errorf("is damaged: it exports %s twice", shown(e.name))
		}
		names[e.name] = true
		memory = memory || e.kind == wasmMemoryKind && e.name == wasmMemoryExport
		if e.kind != wasmFunctionKind {
			continue
		}
		alloc = alloc || e.name == wasmAllocExport
		if int64(e.index) >= int64(len(m.functions)) || int64(m.functions[e.index]) >= int64(len(m.types)) {
			return nil, fmt.Errorf("is damaged: the export %s is a function that is not there", shown(e.name))
		}
		if m.types[m.functions[e.index]] && isWasmEntryName(e.name) {
			code.EntryPoints = append(code.EntryPoints, e.name)
		}
	}
	slices.Sort(code.EntryPoints)
	code.Needed = slices.AppendSeq([]string{}, maps.Keys(m.imported))
	slices.Sort(code.Needed)
	code.obstacle = wasmObstacle(memory, alloc)
	return code, nil
}

func (m *wasmModule) imports(body *wasmReader) {
	for range body.count() {
		module := body.name()
		body.name()
		kind := body.byte()
		switch kind {
		case wasmFunctionKind:
			m.functions = append(m.functions, body.u32())
		case wasmTableKind:
			body.byte()
			body.limits()
		case wasmMemoryKind:
			body.limits()
		case wasmGlobalKind:
			body.byte()
			body.byte()
		case wasmTagKind:
			body.byte()
			body.u32()
		default:
			body.fail(fmt.Errorf("an import of the unknown kind %d", kind))
		}
		if body.err != nil {
			return
		}
		m.imported[module] = true
		if len(m.imported) > maxNeeded {
			body.fail(fmt.Errorf("imports from more than %d modules", maxNeeded))
		}
	}
}

// wasmReader reads a section. After an error it yields zeros.
type wasmReader struct {
	in   *bufio.Reader
	left int64
	err  error
}

func (w *wasmReader) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *wasmReader) byte() byte {
	if w.err != nil || w.left == 0 {
		w.fail(io.ErrUnexpectedEOF)
		return 0
	}
	b, err := w.in.ReadByte()
	if err != nil {
		w.fail(io.ErrUnexpectedEOF)
		return 0
	}
	w.left--
	return b
}

// uleb is an unsigned number of at most so many bits.
func (w *wasmReader) uleb(bits int) uint64 {
	var n uint64
	for shift := 0; ; shift += 7 {
		b := w.byte()
		if w.err != nil {
			return 0
		}
		if rest := bits - shift; rest < 7 && b >= 1<<rest {
			w.fail(fmt.Errorf("a number has more than %d bits", bits))
			return 0
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (w *wasmReader) u32() uint32 { return uint32(w.uleb(32)) }

func (w *wasmReader) name() string {
	n := int64(w.u32())
	if w.err == nil && (n > w.left || n > maxWasmNameBytes) {
		w.fail(fmt.Errorf("a name of %d bytes", n))
	}
	if w.err != nil {
		return ""
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(w.in, b); err != nil {
		w.fail(io.ErrUnexpectedEOF)
	}
	w.left -= n
	if !utf8.Valid(b) {
		w.fail(errors.New("a name is not UTF-8"))
	}
	return string(b)
}

// count is the length of a list whose elements have a byte at least.
func (w *wasmReader) count() int {
	n := int64(w.u32())
	if n > min(w.left, maxEntryPoints) {
		w.fail(fmt.Errorf("a list of %d elements in %d bytes", n, w.left))
		return 0
	}
	return int(n)
}

// functionType reads a type and reports whether entry points have it.
func (w *wasmReader) functionType() bool {
	if form := w.byte(); w.err == nil && form != wasmFunctionType {
		w.fail(fmt.Errorf("a type of the kind %#x, which is not supported: build without garbage collection proposals", form))
	}
	arguments, results := w.valueTypes(), w.valueTypes()
	return isWasmEntryType(arguments, results)
}

func (w *wasmReader) valueTypes() []byte {
	var types []byte
	for range w.count() {
		if types = append(types, w.byte()); w.err != nil {
			return nil
		}
	}
	return types
}

func (w *wasmReader) limits() {
	flags, bits := w.byte(), 32
	if flags&wasmLimits64 != 0 {
		bits = 64
	}
	w.uleb(bits)
	if flags&wasmLimitsMaximum != 0 {
		w.uleb(bits)
	}
}
