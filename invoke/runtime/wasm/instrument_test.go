package wasm

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

// inModule is a module in which the section of this id is replaced or added.
func inModule(id byte, data ...[]byte) []byte {
	module := entries(entry("echo", echo))
	out, done := slices.Clone(module[:8]), false
	add := func(id byte, content []byte) { out = appendBytes(append(out, id), content) }
	sections, _ := split(module)
	for _, s := range sections {
		if !done && wasmfile.Place(s.id) >= wasmfile.Place(id) {
			done = true
			add(id, cat(data...))
		}
		if s.id != id {
			add(s.id, s.data)
		}
	}
	if !done {
		add(id, cat(data...))
	}
	return out
}

var many = appendU32(nil, 1<<32-1)

// A module must not be able to hide a loop in bytes that instrument skips as an operand.
func TestWhatCannotBeHidden(t *testing.T) {
	t.Parallel()
	endless := loop(op["br 0"])
	body := func(code ...[]byte) []byte { return entries(entry("f", code...)) }
	over := cat(op["get heap"], []byte{0x0d, 0x00}) // get heap; br_if 0: over code that is not reached
	requireRefused(t, map[string][]byte{
		// wazero reads one byte, 0x8c, and continues after it: 16 bytes are code.
		"behind a long number": body([]byte{0x02, 0x40}, over, op["unreachable"], []byte{0xfd, 0x8c, 0x00, opEnd}, endless, i32(0), make([]byte, 8)),
		// (ref null 0x28) is a type of two bytes; 0x28 is load, with two operands.
		"behind a type of two bytes":  body([]byte{0x02, 0x63, 0x28}, endless, op["unreachable"], []byte{opEnd}, op["drop"], i32(0)),
		"behind a type, not nullable": body([]byte{0x02, 0x64, 0x28}, endless, op["unreachable"], []byte{opEnd}, op["drop"], i32(0)),
		"behind a long negative type": body([]byte{0x02, 0xc0, 0x7f}, endless, []byte{opEnd}, i32(0)),
		"behind a loop's type":        body([]byte{0x03, 0x69}, endless, []byte{opEnd}, i32(0)),
		"behind ref.null":             body([]byte{0xd0, 0x28}, endless, op["drop"], i32(0)),
		"behind a typed select":       body(i32(0), i32(0), i32(0), []byte{0x1c, 0x01, 0x63, 0x28}, endless, i32(0)),
		"behind no typed select":      body([]byte{0x1c, 0x02, 0x7f, 0x7f}, endless, i32(0)),
		"behind memory.size":          body([]byte{0x3f, 0x80, 0x00}, endless),
		"behind memory.grow":          body(i32(0), []byte{0x40, 0x80, 0x00}, endless),
		"behind memory.copy":          body([]byte{0xfc, 0x0a, 0x80, 0x00, 0x00}, endless, i32(0)),
		"behind memory.fill":          body([]byte{0xfc, 0x0b, 0x01}, endless, i32(0)),
		"behind memory.init":          body([]byte{0xfc, 0x08, 0x00, 0x80, 0x00}, endless, i32(0)),
		"behind a long operation":     body([]byte{0xfc, 0x8b, 0x00, 0x00}, endless, i32(0)),
		"relaxed SIMD":                body([]byte{0xfd, 0x80, 0x02}, endless, i32(0)),
		"threads":                     body([]byte{0xfe, 0x03, 0x00}, endless, i32(0)),
	})
}

func requireRefused(t *testing.T, modules map[string][]byte) {
	for name, code := range modules {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(t.Context(), code, Config{Name: "hostile"})
			require.ErrorContains(t, err, "wasm: hostile: not a module that can be run: ")
		})
	}
}

// wazero allocates memory for a length before it checks it. These modules declare large
// lengths in a few bytes.
func TestLengthsThatAreLies(t *testing.T) {
	t.Parallel()
	requireRefused(t, map[string][]byte{
		"types":           inModule(wasmfile.Types, many),
		"parameters":      inModule(wasmfile.Types, []byte{1, 0x60}, many),
		"results":         inModule(wasmfile.Types, []byte{1, 0x60, 0}, many),
		"functions":       inModule(wasmfile.Functions, many),
		"memories":        inModule(wasmfile.Memories, many),
		"globals":         inModule(wasmfile.Globals, many),
		"exports":         inModule(wasmfile.Exports, many),
		"a name":          inModule(wasmfile.Exports, []byte{1}, many),
		"bodies":          inModule(wasmfile.Code, many),
		"more than there": inModule(wasmfile.Exports, []byte{0, 0}),
		"locals":          inModule(wasmfile.Code, []byte{2, 9, 1}, many, []byte{0x7f, 0x41, 0, opEnd, 2, 0, opEnd}),
		"locals of many":  inModule(wasmfile.Code, []byte{2, 7, 1}, appendU32(nil, maxLocals), []byte{0x7f, 0x41, opEnd, 8, 1}, appendU32(nil, maxLocals), []byte{0x7f, 0x41, 0, opEnd}),
		"imports":         inModule(wasmfile.Imports, many),
		"tables":          inModule(wasmfile.Tables, many),
		"elements":        inModule(wasmfile.Elements, []byte{1, 1, 0}, many),
		"expressions":     inModule(wasmfile.Elements, []byte{1, 5, 0x70}, many),
		"data":            inModule(wasmfile.Data, []byte{1, 1}, many),
		// wazero decodes a form with an initial value, in which the size is elsewhere.
		"table with a value":  inModule(wasmfile.Tables, []byte{1, 0x40, 0, 0x70, 0}, many, []byte{0xd0, 0x70, opEnd}),
		"tables, all of them": inModule(wasmfile.Tables, []byte{2, 0x70, 0}, appendU32(nil, maxTableEntries), []byte{0x70, 0, 1}),
		"shared memory":       inModule(wasmfile.Memories, []byte{1, 2, 1}),
	})
}

// instrument decodes sections of all kinds: these are valid.
func TestSectionsOfAllKinds(t *testing.T) {
	t.Parallel()
	tables := assemble(program{functions: []function{entry("echo", echo)}, table: 8})
	offset := []byte{0x41, 0, opEnd}
	functions, expressions := []byte{2, 0, 0}, []byte{2, 0xd2, 0, opEnd, 0xd0, 0x70, opEnd}
	elements := vector(
		cat([]byte{0}, offset, functions), cat([]byte{1, 0}, functions), cat([]byte{2, 0}, offset, []byte{0}, functions), cat([]byte{3, 0}, functions),
		cat([]byte{4}, offset, expressions), cat([]byte{5, 0x70}, expressions), cat([]byte{6, 0}, offset, []byte{0x70}, expressions), cat([]byte{7, 0x70}, expressions))
	at := bytes.Index(tables, append([]byte{wasmfile.Code}, appendU32(nil, uint32(len(sectionOf(t, tables, wasmfile.Code))))...))
	withElements := slices.Concat(tables[:at], appendBytes([]byte{wasmfile.Elements}, elements), tables[at:])
	for name, code := range map[string][]byte{
		"elements": withElements,
		"data":     inModule(wasmfile.Data, vector(cat([]byte{0}, offset, []byte{1, 'a'}), []byte{1, 1, 'b'}, cat([]byte{2, 0}, offset, []byte{1, 'c'}))),
		"globals": inModule(wasmfile.Globals, vector(cat([]byte{0x7f, 1}, i32(1024), []byte{opEnd}), cat([]byte{0x7f, 1}, i32(0), []byte{opEnd}),
			[]byte{0x7e, 0, 0x42, 1, opEnd}, []byte{0x7d, 0, 0x43, 0, 0, 0, 0, opEnd}, []byte{0x7c, 0, 0x44, 0, 0, 0, 0, 0, 0, 0, 0, opEnd}, []byte{0x70, 0, 0xd0, 0x70, opEnd},
			cat([]byte{0x7b, 0, 0xfd, 0x0c}, make([]byte, 16), []byte{opEnd}))),
		"tables": inModule(wasmfile.Tables, vector([]byte{0x70, 0, 1}, []byte{0x6f, 1, 1, 2})),
		"memory": inModule(wasmfile.Memories, vector([]byte{1, 1, 9})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			afterwards(t, load(t, code, Config{}))
		})
	}
}

func sectionOf(t *testing.T, module []byte, id byte) []byte {
	sections, err := split(module)
	require.NoError(t, err)
	return sections[slices.IndexFunc(sections, func(s section) bool { return s.id == id })].data
}

// Names are only for messages, and ignored if they are not valid.
func TestNames(t *testing.T) {
	t.Parallel()
	custom := func(content []byte) []byte {
		module := entries(entry("f", call(1), op["unreachable"]), function{"", typeNone, op["unreachable"]}, entry("echo", echo))
		return append(module, appendBytes([]byte{wasmfile.Custom}, cat(appendBytes(nil, []byte("name")), content))...)
	}
	names := func(s string) []byte { return cat([]byte{1, 1}, appendBytes(nil, []byte(s))) } // of the function 1
	for text, content := range map[string][]byte{
		"inner":  cat([]byte{0, 2, 1, 'm'}, []byte{1}, appendBytes(nil, names("inner")), []byte{2}, appendBytes(nil, many)),
		"f: ":    cat([]byte{1}, appendBytes(nil, many)),
		"f":      cat([]byte{1}, appendBytes(nil, names("\xff"))),
		"wasm e": cat([]byte{1}, many),
	} {
		m := load(t, custom(content), Config{})
		_, err := entryPoint(t, m, "f")(t.Context(), nil, nil)
		require.ErrorContains(t, err, text)
		require.ErrorContains(t, err, "unreachable")
		require.Equal(t, text == "inner", strings.Contains(err.Error(), "inner"))
	}
}

// modules are examples of all kinds.
func modules() [][]byte {
	return [][]byte{
		entries(entry("echo", echo)),
		entries(sum),
		entries(recursion...),
		assemble(program{
			imports:   []imported{{"wasi_snapshot_preview1", "fd_write", typeEntry}, {"wasi_snapshot_preview1", "proc_exit", typeExit}},
			functions: []function{entry("f", i32(3), call(1), i32(0)), {"", typeNone, nil}},
			data:      "some", start: 3, table: 5, maxPages: 3,
		}),
	}
}

// aBody makes a module with a function "f" of this code, which may call itself.
func aBody(code []byte) []byte { return entries(entry("f", code), entry("echo", echo)) }

// FuzzInstrument: any module is refused, or its instrumented form is valid if the module was,
// not much longer, and can be stopped. what says whether data is a module, the code of a
// function, or a section. More seeds, made with clang, are in testdata/fuzz.
func FuzzInstrument(f *testing.F) {
	const wholeModule, functionCode = 0xff, 0xfe
	for _, module := range modules() {
		f.Add(byte(wholeModule), module)
		sections, err := split(module)
		require.NoError(f, err)
		for _, s := range sections {
			f.Add(s.id, s.data)
		}
	}
	for _, code := range [][]byte{
		echo, sum.code, busy, cat(forever.code), cat(get(0), get(1), get(2), get(3), call(0)),
		cat([]byte{0xfd, 0x0c}, make([]byte, 16), []byte{0xfd, 0x0c}, make([]byte, 16), []byte{0xfd, 0xae, 0x01, 0xfd, 0x1b, 0x03}),
		cat([]byte{0x02, 0x40, 0x02, 0x7f}, get(0), []byte{0x0e, 1, 0, 1, opEnd, 0x1a, opEnd}, loop(op["br 0"]), i32(0)),
		cat([]byte{0x02, 0x40, 0x23, 0, 0x0d, 0, 0, 0xfd, 0x8c, 0x00, opEnd}, loop(op["br 0"]), i32(0), make([]byte, 8)),
		cat(i32(0), i32(1), get(0), []byte{0x1c, 1, 0x7f}),
	} {
		f.Add(byte(functionCode), code)
	}
	ctx := context.Background()
	f.Fuzz(func(t *testing.T, what byte, data []byte) {
		code := data
		switch what {
		case wholeModule:
		case functionCode:
			code = aBody(data)
		default:
			code = inModule(what, data)
		}
		changed, _, err := instrument(code)
		if err != nil {
			return
		}
		// A loop of 3 bytes gets a check of at most 40.
		require.Less(t, len(changed), 20*len(code)+200)
		settings := wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(16).WithDebugInfoEnabled(false)
		r := wazero.NewRuntimeWithConfig(ctx, settings)
		defer r.Close(ctx)
		if _, err := r.CompileModule(ctx, withoutCustom(t, code)); err != nil {
			return
		}
		compiled, err := r.CompileModule(ctx, changed)
		require.NoError(t, err, "the module was valid before")
		if what != functionCode {
			return
		}
		m, err := r.InstantiateModule(ctx, compiled, wazero.NewModuleConfig().WithStartFunctions())
		require.NoError(t, err)
		m.ExportedGlobal(stopExport).(api.MutableGlobal).Set(1)
		_, _ = m.ExportedFunction("f").Call(ctx, 0, 0, 0, 0) // returns, or traps at its first check
	})
}

// withoutCustom removes custom sections: they do not make a module invalid, but wazero
// allocates up to 4 GiB for the declared length of their names.
func withoutCustom(t *testing.T, module []byte) []byte {
	sections, err := split(module)
	require.NoError(t, err)
	out := slices.Clone(module[:8])
	for _, s := range sections {
		if s.id != wasmfile.Custom {
			out = appendBytes(append(out, s.id), s.data)
		}
	}
	return out
}
