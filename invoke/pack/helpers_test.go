package pack

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

// compile compiles C.
func compile(t *testing.T, name, source string, flags ...string) string {
	t.Helper()
	return compileAs(t, "gcc", "c", name, source, flags...)
}

// compileAs compiles a language.
func compileAs(t *testing.T, compiler, language, name, source string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(compiler + " is missing in CI")
		}
		t.Skip("needs " + compiler)
	}
	path := filepath.Join(t.TempDir(), name)
	cmd := exec.Command(compiler, append(flags, "-x", language, "-", "-o", path)...)
	cmd.Stdin = bytes.NewReader([]byte(source))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

const twoFunctions = `#include <stdint.h>
#include <string.h>
uint32_t echo(void *args, uint32_t size, void *res) { memcpy(res, args, size); return size; }
__attribute__((weak)) uint32_t none(void *args, uint32_t size, void *res) { return 0; }
static uint32_t internal(void *a, uint32_t b, void *c) { return 0; }
__attribute__((visibility("hidden"))) uint32_t hidden(void *a, uint32_t b, void *c) { return internal(a, b, c); }
int data = 1;
`

func sharedObject(t *testing.T) string {
	t.Helper()
	return compile(t, "two.so", twoFunctions, "-shared", "-fPIC", "-O1")
}

// export is an export of module.
type export struct {
	name string
	kind byte
	of   byte
}

func leb(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func wasmSection(id byte, body []byte) []byte {
	return append(append([]byte{id}, leb(len(body))...), body...)
}

func text(s string) []byte { return append(leb(len(s)), s...) }

// module assembles a module. Type 0 is that of entry points, type 1 is (i32) -> i32, type 2
// has an i64. Function 0 (type 0) is imported from "env"; functions 1, 2 and 3 have the types
// 0, 1 and 2.
func module(exports ...export) []byte {
	b := []byte(wasmfile.Header)
	b = append(b, wasmSection(1, []byte{3, 0x60, 4, 0x7f, 0x7f, 0x7f, 0x7f, 1, 0x7f, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 4, 0x7f, 0x7f, 0x7e, 0x7f, 1, 0x7f})...)
	b = append(b, wasmSection(2, append(append(append([]byte{1}, text("env")...), text("f")...), 0, 0))...)
	b = append(b, wasmSection(3, []byte{3, 0, 1, 2})...)
	b = append(b, wasmSection(5, []byte{1, 0, 1})...)
	body := leb(len(exports))
	for _, e := range exports {
		body = append(append(body, text(e.name)...), e.kind, e.of)
	}
	b = append(b, wasmSection(7, body)...)
	code := []byte{3}
	for range 3 {
		code = append(code, 4, 0, 0x41, 0, 0x0b)
	}
	return append(b, wasmSection(10, code)...)
}

// plumbed is a module that follows the convention.
func plumbed(exports ...export) []byte {
	return module(append(exports, export{"memory", 2, 0}, export{"rfaas_alloc", 0, 2})...)
}

func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, content, 0o666))
	return path
}

// folder is a package that needs no compiler: a module with extra files, one as long as a
// block, one a byte longer.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "some folder")
	write(t, dir, "code.wasm", plumbed(export{"echo", 0, 1}))
	write(t, dir, "data/a", bytes.Repeat([]byte("a"), blockBytes))
	write(t, dir, "data-b", bytes.Repeat([]byte("b"), blockBytes+1))
	write(t, dir, "empty", nil)
	return dir
}

func build(t *testing.T, path string) *Package {
	t.Helper()
	p, err := Build(path, nil)
	require.NoError(t, err)
	t.Cleanup(func() { p.Close() })
	return p
}

func archive(t *testing.T, p *Package) []byte {
	t.Helper()
	var b bytes.Buffer
	n, err := p.WriteTo(&b)
	require.NoError(t, err)
	require.EqualValues(t, b.Len(), n)
	require.Equal(t, p.Size(), n)
	return b.Bytes()
}
