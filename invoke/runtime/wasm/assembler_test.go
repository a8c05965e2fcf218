package wasm

import "github.com/rfaas-go/rfaas/internal/wasmfile"

// A small assembler, so that these tests need no compiler.

// The types of functions in modules that assemble makes.
const (
	typeEntry = iota // (i32, i32, i32, i32) -> i32; fd_write and poll_oneoff have it, too
	typeAlloc        // (i32) -> i32
	typeNone         // () -> ()
	typeExit         // (i32) -> ()
	typeMore         // the first of program.types
)

type function struct {
	name string // exported as; "" is not exported
	kind byte
	code []byte // without the final end
}

type imported struct {
	module, name string
	kind         byte
}

type program struct {
	imports   []imported
	functions []function
	pages     uint32 // of memory; 0 is 1
	maxPages  uint32 // 0 is none
	noMemory  bool   // it is not exported
	noAlloc   bool
	start     int    // index of a function, imports counted; 0 is none
	table     uint32 // entries; 0 is none
	data      string // at address 8
	types     [][]byte
}

func cat(parts ...[]byte) (all []byte) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func i32(v int32) []byte {
	b := []byte{0x41}
	for {
		low := byte(v & 0x7f)
		v >>= 7
		if v == 0 && low&0x40 == 0 || v == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

func get(local byte) []byte      { return []byte{0x20, local} }
func call(index uint32) []byte   { return appendU32([]byte{0x10}, index) }
func loop(body ...[]byte) []byte { return cat([]byte{0x03, 0x40}, cat(body...), []byte{0x0b}) }

var (
	op = map[string][]byte{
		"unreachable": {0x00}, "br 0": {0x0c, 0}, "return": {0x0f}, "drop": {0x1a},
		"eqz": {0x45}, "gt_u": {0x4b}, "add": {0x6a}, "sub": {0x6b}, "if": {0x04, 0x40}, "end": {0x0b},
		"load": {0x28, 2, 0}, "store": {0x36, 2, 0}, "memory.size": {0x3f, 0}, "memory.grow": {0x40, 0},
		"memory.copy": {0xfc, 10, 0, 0}, "get heap": {0x23, 0}, "set heap": {0x24, 0},
		"get count": {0x23, 1}, "set count": {0x24, 1}, "and": {0x71}, "shr_u": {0x76}, "br_if 0": {0x0d, 0},
	}
	// alloc allocates from the heap after the data, and grows the memory for it.
	alloc = cat(
		op["get heap"], get(0), op["add"], op["memory.size"], i32(16), []byte{0x74}, op["gt_u"],
		op["if"], get(0), i32(65535), op["add"], i32(16), op["shr_u"], op["memory.grow"], i32(0), []byte{0x48},
		op["if"], i32(0), op["return"], op["end"], op["end"],
		op["get heap"], op["get heap"], get(0), op["add"], op["set heap"])
	echo = cat(get(1), get(3), op["gt_u"], op["if"], get(1), op["return"], op["end"],
		get(2), get(0), get(1), op["memory.copy"], get(1))
	// storing stores the value of some code as the result.
	storing = func(value []byte) []byte { return cat(get(2), value, op["store"], i32(4)) }
)

func vector(elements ...[]byte) []byte {
	return append(appendU32(nil, uint32(len(elements))), cat(elements...)...)
}

func export(name string, kind byte, index int) []byte {
	return appendU32(append(appendBytes(nil, []byte(name)), kind), uint32(index))
}

func assemble(p program) []byte {
	if !p.noAlloc {
		p.functions = append(p.functions, function{wasmfile.AllocExport, typeAlloc, alloc})
	}
	var imports, kinds, exports, bodies [][]byte
	for _, i := range p.imports {
		imports = append(imports, cat(appendBytes(nil, []byte(i.module)), appendBytes(nil, []byte(i.name)), []byte{0, i.kind}))
	}
	for n, f := range p.functions {
		kinds = append(kinds, []byte{f.kind})
		if f.name != "" {
			exports = append(exports, export(f.name, 0, n+len(p.imports)))
		}
		bodies = append(bodies, appendBytes(nil, cat([]byte{0}, f.code, []byte{0x0b})))
	}
	if !p.noMemory {
		exports = append(exports, export(wasmfile.MemoryExport, 2, 0))
	}
	memory := appendU32([]byte{0}, max(p.pages, 1))
	if p.maxPages > 0 {
		memory = appendU32(appendU32([]byte{1}, max(p.pages, 1)), p.maxPages)
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	add := func(id byte, data []byte) { out = appendBytes(append(out, id), data) }
	add(1, vector(append([][]byte{{0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f}, {0x60, 1, 0x7f, 1, 0x7f}, {0x60, 0, 0}, {0x60, 1, 0x7f, 0}}, p.types...)...))
	if len(imports) > 0 {
		add(2, vector(imports...))
	}
	add(3, vector(kinds...))
	if p.table > 0 {
		add(4, vector(appendU32([]byte{0x70, 0}, p.table)))
	}
	add(5, vector(memory))
	add(6, vector(cat([]byte{0x7f, 1}, i32(1024), []byte{0x0b}), cat([]byte{0x7f, 1}, i32(0), []byte{0x0b})))
	add(7, vector(exports...))
	if p.start > 0 {
		add(8, appendU32(nil, uint32(p.start)))
	}
	add(10, vector(bodies...))
	if p.data != "" {
		add(11, vector(cat([]byte{0}, i32(8), []byte{0x0b}, appendBytes(nil, []byte(p.data)))))
	}
	return out
}

// entries is a program of entry points.
func entries(functions ...function) []byte { return assemble(program{functions: functions}) }

func entry(name string, code ...[]byte) function { return function{name, typeEntry, cat(code...)} }
