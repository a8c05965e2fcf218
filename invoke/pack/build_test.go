package pack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

func TestSharedObject(t *testing.T) {
	t.Parallel()
	path := sharedObject(t)
	p, err := Open(path)
	require.NoError(t, err)
	m := p.Manifest()
	require.Equal(t, "two", m.Name)
	require.Equal(t, "two.so", m.Module)
	require.Equal(t, "native", m.Runtime)
	require.Equal(t, []Function{{"echo", "echo", false}, {"none", "none", false}}, m.Functions)
	code, err := p.Code()
	require.NoError(t, err)
	require.Equal(t, []string{"echo", "none"}, code.EntryPoints)
	require.Equal(t, "linux/"+goruntime.GOARCH, code.Target)
	require.Contains(t, code.Needed, "libc.so.6")
	require.NoError(t, code.Check(m))

	packed := filepath.Join(t.TempDir(), "x.rfaas")
	require.NoError(t, os.WriteFile(packed, archive(t, p), 0o666))
	again, err := Open(packed)
	require.NoError(t, err)
	require.Equal(t, p.Digest(), again.Digest())
	require.Equal(t, archive(t, p), archive(t, again))
	sameCode, err := again.Code()
	require.NoError(t, err)
	require.Equal(t, code, sameCode)
	require.NoError(t, again.Close())
	_, err = Build(packed, nil)
	require.ErrorContains(t, err, "is a package already")
}

// Functions that linkers and start-up code add are not entry points.
func TestSharedObjectPlumbing(t *testing.T) {
	t.Parallel()
	p := build(t, compile(t, "x.so", "void _init(void) {} void _fini(void) {} void f(void) {}", "-shared", "-fPIC", "-nostartfiles"))
	require.Equal(t, []Function{{"f", "f", false}}, p.Manifest().Functions)
}

func TestForeignSharedObjects(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(sharedObject(t))
	require.NoError(t, err)
	dir := t.TempDir()
	n := 0
	refused := func(want string, change func([]byte) []byte) {
		t.Helper()
		n++
		_, err := Open(write(t, dir, fmt.Sprint(n)+".so", change(bytes.Clone(data))))
		require.ErrorContains(t, err, want)
	}
	field := func(offset int, value uint16) func([]byte) []byte {
		return func(b []byte) []byte { binary.LittleEndian.PutUint16(b[offset:], value); return b }
	}
	refused("this build is for linux/"+goruntime.GOARCH, field(18, 243)) // RISC-V
	refused("the code is an object file, must be a shared object or an executable", field(16, 1))
	refused("this build is for linux", func(b []byte) []byte { b[7] = 9; return b }) // FreeBSD
	refused("is damaged, or no ELF file", func(b []byte) []byte { b[4] = 7; return b })
	refused("is damaged, or no ELF file", func(b []byte) []byte { return b[:20] })
	refused("is damaged, or no ELF file", func(b []byte) []byte { return b[:len(b)-100] })
	refused("is neither a package nor code", func([]byte) []byte { return bytes.Repeat([]byte("no code"), 100) })

	main := "int main(void) { return 0; }"
	_, err = Open(compile(t, "x.o", main, "-c"))
	require.ErrorContains(t, err, "the code is an object file")
	_, err = Open(compile(t, "none.so", "static int x;", "-shared", "-fPIC"))
	require.ErrorContains(t, err, "the code has no entry point that can be called by its name; it has none at all: functions must be global")
}

func TestExecutable(t *testing.T) {
	t.Parallel()
	const main = "void function(void) {} int main(void) { return 0; }"
	for name, flags := range map[string][]string{"pie": {"-pie", "-fPIE", "-rdynamic"}, "fixed": {"-no-pie"}, "static": {"-static", "-nostdlib", "-Wl,-emain"}} {
		path := compile(t, name+".so", main, flags...) // its name does not matter
		p := build(t, path)
		require.Equal(t, "command", p.Manifest().Runtime)
		require.Equal(t, []Function{{name, name, false}}, p.Manifest().Functions)
		code, err := p.Code()
		require.NoError(t, err)
		require.Empty(t, code.EntryPoints)
		require.Equal(t, "linux/"+goruntime.GOARCH, code.Target)
		require.Equal(t, name != "static", slices.Contains(code.Needed, "libc.so.6"))

		data, err := os.ReadFile(path)
		require.NoError(t, err)
		binary.LittleEndian.PutUint16(data[18:], 243) // RISC-V
		_, err = Open(write(t, t.TempDir(), name, data))
		require.ErrorContains(t, err, "this build is for linux/"+goruntime.GOARCH)
	}
}

func TestScript(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := write(t, dir, "count words.py", []byte("#! /usr/bin/env -S LANG=C python3 -u\nimport rfaas\n"))
	p := build(t, path)
	m := p.Manifest()
	require.Equal(t, []any{"count_words", "command", "count words.py", 0, false}, []any{m.Name, m.Runtime, m.Module, len(m.Arguments), m.Warm})
	require.Equal(t, []Function{{"count_words", "count_words", false}}, m.Functions)
	code, err := p.Code()
	require.NoError(t, err)
	require.Equal(t, &Code{Runtime: "command", Target: "linux", EntryPoints: []string{}, Needed: []string{"/usr/bin/env", "python3"}}, code)

	p, err = Build(path, func(m *Manifest) error {
		m.Name, m.Warm, m.Arguments = "words", true, []string{"", "-x"}
		m.Functions = []Function{{"count", "words", true}}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []Function{{"count", "words", true}}, p.Manifest().Functions)
	m = p.Manifest()
	again, err := parseCanonical(m.JSON())
	require.NoError(t, err)
	require.Equal(t, p.Manifest(), again)

	write(t, dir, "run", []byte("#!/bin/sh"))
	write(t, dir, "manifest.json", []byte(`{"name": "n", "module": "run", "arguments": ["--in", "{}"]}`))
	m = build(t, dir).Manifest()
	require.Equal(t, []Function{{"n", "n", false}}, m.Functions)
	require.Equal(t, []string{"--in", "{}"}, m.Arguments)
	for want, content := range map[string]string{
		`the code has no entry point "main"; there are: run`:  `{"name": "run", "module": "run", "functions": [{"name": "main"}]}`,
		`runtime: is "native", but run is code for "command"`: `{"runtime": "native", "module": "run"}`,
	} {
		write(t, dir, "manifest.json", []byte(content))
		_, err := Build(dir, nil)
		require.ErrorContains(t, err, want)
	}
	for text, want := range map[string]string{
		"#!\n":                                  "must name an interpreter by its absolute path",
		"#!python3\n":                           "must name an interpreter by its absolute path",
		"#!/usr/bin/env -S A=b\n":               "does not say which interpreter",
		"#!/bin/sh\r\necho\r\n":                 "carriage returns",
		"#!/bin/\x1b[31m\n":                     "must be printable UTF-8",
		"#!/" + strings.Repeat("x", 253) + "\n": "must be named in 255 bytes",
	} {
		_, err := Open(write(t, dir, "x.py", []byte(text)))
		require.ErrorContains(t, err, want, text)
	}
	build(t, write(t, dir, "x.py", []byte("#!/"+strings.Repeat("x", 252)+"\n")))
}

func TestWasmModule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := build(t, write(t, dir, "a b.wasm", plumbed(
		export{"echo", 0, 1}, export{"imported", 0, 0}, export{"malloc", 0, 2}, export{"wide", 0, 3},
		export{"_initialize", 0, 1}, export{"rfaas_other", 0, 1}, export{"second_memory", 2, 0})))
	m := p.Manifest()
	require.Equal(t, "a_b", m.Name)
	require.Equal(t, "wasm", m.Runtime)
	require.Equal(t, []Function{{"echo", "echo", false}, {"imported", "imported", false}}, m.Functions)
	code, err := p.Code()
	require.NoError(t, err)
	require.Equal(t, []string{"env"}, code.Needed)

	good := plumbed(export{"echo", 0, 1})
	alone := func(section []byte) []byte { return append([]byte(wasmfile.Header), section...) }
	for want, data := range map[string][]byte{
		`exports "echo" twice`:              plumbed(export{"echo", 0, 1}, export{"echo", 0, 1}),
		`a function that does not exist`:    plumbed(export{"echo", 0, 4}),
		"it imports env.f: it is made for":  module(export{"echo", 0, 1}),
		"must export its memory":            program(export{"echo", 0, 1}),
		"the code has no entry point that":  plumbed(),
		"components are not supported":      []byte("\x00asm\x0d\x00\x01\x00"),
		"is damaged or cut off":             good[:len(good)-3],
		"it is longer than its content":     alone(wasmSection(1, []byte{0, 0})),
		"not UTF-8":                         plumbed(export{"\xff", 0, 1}),
		"a number has more than 32 bits":    alone([]byte{7, 5, 0xff, 0xff, 0xff, 0xff, 0x1f}),
		"a list of 127 elements in 0 bytes": alone(wasmSection(7, []byte{127})),
		"a type of the kind 0x5f":           alone(wasmSection(1, []byte{1, 0x5f})),
		"cut off: section 1 at byte 105 is unknown, repeated or at the wrong place": append(bytes.Clone(good), wasmSection(1, []byte{0})...),
		"must be at most 1048576": alone(wasmSection(3, append([]byte{0x81, 0x80, 0x40}, make([]byte, 1<<20+1)...))),
		"it has 33554433 bytes":   alone(wasmSection(7, make([]byte, maxWasmSectionBytes+1))),
		"unknown kind 9":          alone(wasmSection(2, []byte{1, 0, 0, 9})),
	} {
		_, err := Open(write(t, dir, "x.wasm", data))
		require.ErrorContains(t, err, want)
	}
	for n := range good { // a cut is noticed, unless it is between sections
		if p, err := Open(write(t, dir, "x.wasm", good[:n])); err == nil {
			require.Contains(t, string(good[n:]), "\x41\x00\x0b", "cut off at %d", n)
			p.Close()
		}
	}
}

// program assembles a module with the memory 0, and the functions 0 to 2: () -> (), an entry
// point, (i32) -> i32.
func program(exports ...export) []byte {
	b := append([]byte(wasmfile.Header), wasmSection(1, []byte{3, 0x60, 0, 0, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7f})...)
	b = append(append(b, wasmSection(3, []byte{3, 0, 1, 2})...), wasmSection(5, []byte{1, 0, 1})...)
	body := leb(len(exports))
	for _, e := range exports {
		body = append(append(body, text(e.name)...), e.kind, e.of)
	}
	b = append(b, wasmSection(7, body)...)
	return append(b, wasmSection(10, []byte{3, 2, 0, 0x0b, 4, 0, 0x41, 0, 0x0b, 4, 0, 0x41, 0, 0x0b})...)
}

// A program has one function, under the package's name, unless it is a reactor or its start is of
// another type.
func TestWasmProgram(t *testing.T) {
	t.Parallel()
	dir, memory, start, echo := t.TempDir(), export{"memory", 2, 0}, export{"_start", 0, 0}, export{"echo", 0, 1}
	code := program(memory, start, echo)
	require.Equal(t, []Function{{"upper_1", "_start", false}}, build(t, write(t, dir, "upper 1.wasm", code)).Manifest().Functions)
	write(t, dir, "folder/upper.wasm", code)
	write(t, dir, "folder/manifest.json", []byte(`{"name": "mine"}`))
	require.Equal(t, []Function{{"mine", "_start", false}}, build(t, filepath.Join(dir, "folder")).Manifest().Functions)
	p := build(t, write(t, dir, "reactor.wasm", program(memory, start, echo, export{"_initialize", 0, 0}, export{"rfaas_alloc", 0, 2})))
	require.Equal(t, []Function{{"echo", "echo", false}}, p.Manifest().Functions)
	for _, code := range [][]byte{program(start), program(memory, export{"_start", 0, 2})} {
		_, err := Build(write(t, dir, "x.wasm", code), nil)
		require.ErrorContains(t, err, "must export its memory")
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	edit := func(m *Manifest) error { m.Version = "2"; return nil }
	p, err := Build(dir+"/", edit)
	require.NoError(t, err)
	require.Equal(t, "2", p.Manifest().Version)
	require.Equal(t, []File{{"code.wasm", int64(len(plumbed(export{"echo", 0, 1})))}, {"data-b", blockBytes + 1}, {"data/a", blockBytes}, {"empty", 0}}, p.Files())
	_, err = Build(dir, func(*Manifest) error { return os.ErrInvalid })
	require.ErrorIs(t, err, os.ErrInvalid)

	write(t, dir, "manifest.json", []byte(`{"name": "n", "functions": [{"name": "f", "entry": "echo"}]}`))
	p = build(t, dir)
	require.Equal(t, "n", p.Manifest().Name)
	require.Equal(t, []Function{{"f", "echo", false}}, p.Manifest().Functions)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(dir, link))
	require.Equal(t, p.Digest(), build(t, link).Digest())

	// A manifest elsewhere, with the module only.
	p = build(t, write(t, dir, "small.json", []byte(`{"module": "code.wasm"}`)))
	require.Equal(t, "small", p.Manifest().Name)
	require.Len(t, p.Files(), 1)
	require.NoError(t, os.Remove(filepath.Join(dir, "small.json")))

	for want, content := range map[string]string{
		`functions: the code has no entry point "g"; there are: echo`:               `{"functions": [{"name": "g"}]}`,
		`runtime: is "native", but code.wasm is code for "wasm"`:                    `{"runtime": "native"}`,
		"compiled into the program":                                                 `{"runtime": "go"}`,
		`there is no file "other.wasm"`:                                             `{"module": "other.wasm"}`,
		`"data/a": is neither a shared object or an executable (ELF), nor a script`: `{"module": "data/a"}`,
		"functions: 0 of them":                                                      `{"functions": []}`,
		"manifest, line 1":                                                          `{"x": 1}`,
	} {
		write(t, dir, "manifest.json", []byte(content))
		_, err := Build(dir, nil)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, dir)
	}
	require.NoError(t, os.Remove(filepath.Join(dir, "manifest.json")))
	refused := func(want, path string) {
		t.Helper()
		_, err := Build(dir, nil)
		require.ErrorContains(t, err, want)
		require.NoError(t, os.RemoveAll(path))
	}
	refused("which file is the code?", write(t, dir, "other.so", nil))
	refused("no part of it may begin with a dot", filepath.Dir(write(t, dir, ".git/config", nil)))
	refused("must be printable ASCII", write(t, dir, "grün", nil))
	inside := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink("/etc/passwd", inside))
	refused("is neither a regular file nor a folder", inside)
	require.NoError(t, unix.Mkfifo(inside, 0o666))
	refused("is neither a regular file nor a folder", inside)
	require.NoError(t, unix.Mkfifo(inside, 0o666))
	_, err = Open(inside)
	require.ErrorContains(t, err, "is not a regular file")
	_, err = Build(t.TempDir(), nil)
	require.ErrorContains(t, err, "there is no *.so and no *.wasm")
	_, err = Open(filepath.Join(dir, "missing"))
	require.ErrorIs(t, err, os.ErrNotExist)
	many := t.TempDir()
	for i := range maxFiles {
		write(t, many, fmt.Sprint(i), nil)
	}
	_, err = Build(many, nil)
	require.ErrorContains(t, err, "more than 4095 files")
}

// Entry points whose names are not valid are left out. Too many are an error that says what
// to do.
func TestAllFunctions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := build(t, write(t, dir, "x.wasm", plumbed(export{"a", 0, 1}, export{strings.Repeat("b", 256), 0, 1}, export{"c\n", 0, 1})))
	require.Equal(t, []Function{{"a", "a", false}}, p.Manifest().Functions)
	var exports []export
	for i := range maxFunctions + 1 {
		exports = append(exports, export{fmt.Sprint("f", i), 0, 1})
	}
	_, err := Open(write(t, dir, "many.wasm", plumbed(exports...)))
	require.ErrorContains(t, err, "1024 entry points, a package offers at most 1023 functions: choose")
}

// assembly is the source of a shared object that exports functions.
func assembly(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, ".globl %s\n.type %s, %%function\n%s:\n.text\n.long 0\n", name, name, name)
	}
	return "__asm__(" + strconv.Quote(b.String()) + ");"
}

func numbered(name string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprint(name, i))
	}
	return names
}

// One function of code can be had however many others it has, under whatever name. Those of
// compilers are not in the way.
func TestOpenFunction(t *testing.T) {
	t.Parallel()
	big := compile(t, "big.so", assembly(append(numbered("f", maxFunctions+1), numbered("_ZN1a", maxFunctions+1)...)...), "-shared", "-fPIC")
	for _, name := range []string{"f7", "_ZN1a7"} {
		edited := false
		p, err := OpenFunction(big, name, func(m *Manifest) error { edited = true; m.Version = "2"; return nil })
		require.NoError(t, err)
		require.True(t, edited)
		require.Equal(t, []Function{{name, name, false}}, p.Manifest().Functions)
		require.Equal(t, "2", p.Manifest().Version)
	}
	_, err := OpenFunction(big, "", nil)
	require.ErrorContains(t, err, "pack: the code has 1024 functions: choose one with "+big+":NAME; there are: f0, f1, f10, ")
	require.ErrorContains(t, err, " and 1008 more, and 1024 mangled names of C++ or Rust (")
	_, err = OpenFunction(big, "g", nil)
	require.ErrorContains(t, err, `pack: the code has no entry point "g"; there are: f0, `)

	cpp := compile(t, "cpp.so", assembly("_Z3addPvjS_", "_ZN1b3subE", "__cxa_throw", "_RNvCs1234_1b3mul"), "-shared", "-fPIC")
	_, err = OpenFunction(cpp, "", nil)
	require.ErrorContains(t, err, `all that it has are 3 mangled names of C++ or Rust; for a function to have its own, declare it extern "C"`)
	for name, symbol := range map[string]string{"add": "_Z3addPvjS_", "sub": "_ZN1b3subE", "mul": "_RNvCs1234_1b3mul"} {
		_, err = OpenFunction(cpp, name, nil)
		require.ErrorContains(t, err, fmt.Sprintf("no entry point %q, but %q, which looks like its name in C++ or Rust: declare it extern \"C\"", name, symbol))
	}

	// Of what Go exports only the program's functions are offered.
	golang := compile(t, "go.so", assembly("_cgo_panic", "_cgoexp_dd54953b3274_to_upper", "crosscall2", "to_upper", "x_cgo_init"), "-shared", "-fPIC")
	p, err := OpenFunction(golang, "", nil)
	require.NoError(t, err)
	require.Equal(t, []Function{{"to_upper", "to_upper", false}}, p.Manifest().Functions)

	// What a manifest says stands.
	dir := t.TempDir()
	write(t, dir, "code.wasm", plumbed(export{"a", 0, 1}, export{"b", 0, 1}))
	never := func(*Manifest) error { return os.ErrInvalid }
	p, err = OpenFunction(dir, "b", never)
	require.NoError(t, err)
	require.Equal(t, []Function{{"b", "b", false}}, p.Manifest().Functions)
	write(t, dir, "manifest.json", []byte(`{"functions": [{"name": "f", "entry": "a"}]}`))
	p, err = OpenFunction(dir, "b", never)
	require.NoError(t, err)
	require.Equal(t, []Function{{"f", "a", false}}, p.Manifest().Functions)
	packed := write(t, t.TempDir(), "x.rfaas", archive(t, p))
	p, err = OpenFunction(packed, "b", never)
	require.NoError(t, err)
	require.NoError(t, p.Close())
}

// A library of C++ has the functions that are extern "C", whatever else it is made of, or is
// linked into it.
func TestCPlusPlus(t *testing.T) {
	t.Parallel()
	const source = `#include <string>
#include <vector>
extern "C" unsigned sum(void *args, unsigned size, void *res)
{
	std::vector<std::string> all(size, "x");
	try { throw all.at(0); } catch (const std::string &) {}
	return all.size();
}
struct Shape { virtual ~Shape() {} };
Shape *make() { return new Shape; }`
	for _, flags := range [][]string{nil, {"-static-libstdc++", "-static-libgcc"}} {
		p := build(t, compileAs(t, "g++", "c++", "sum.so", source, append(flags, "-shared", "-fPIC")...))
		require.Equal(t, []Function{{"sum", "sum", false}}, p.Manifest().Functions)
		code, err := p.Code()
		require.NoError(t, err)
		require.Greater(t, code.Mangled(), 10)
	}
}

func FuzzWasm(f *testing.F) {
	f.Add(plumbed(export{"echo", 0, 1}))
	f.Add([]byte(wasmfile.Header))
	f.Fuzz(func(t *testing.T, data []byte) {
		code, err := readWasm(bytes.NewReader(data), int64(len(data)))
		if err == nil {
			require.True(t, slices.IsSorted(code.EntryPoints))
		}
	})
}
