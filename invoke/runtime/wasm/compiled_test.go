package wasm

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Compile runs nothing of a module, leaves nothing, and refuses what Load would.
func TestCompile(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	trap := function{"_initialize", typeNone, op["unreachable"]}
	module := entries(entry("echo", echo), trap)
	compiled, err := Compile(t.Context(), module, Config{})
	require.NoError(t, err, "nothing of it runs")
	require.NotEmpty(t, compiled)
	for code, want := range map[string]string{
		"": "not a WebAssembly module", string(entries(function{"f", typeNone, nil})): "no entry point",
	} {
		_, err = Compile(t.Context(), []byte(code), Config{})
		require.ErrorContains(t, err, want)
	}
	_, err = Compile(t.Context(), module, Config{Instances: -1})
	require.ErrorContains(t, err, "instances")
	none, err := Compile(t.Context(), module, Config{Interpreter: true})
	require.NoError(t, err)
	require.Empty(t, none)
	left, err := os.ReadDir(temp)
	require.NoError(t, err)
	require.Empty(t, left)
}

// What was compiled elsewhere is kept as if it had been compiled with the cache: for who
// compiles no more, and for who has the cache.
func TestKeep(t *testing.T) {
	t.Parallel()
	one, two := entries(entry("f", i32(1)), entry("echo", echo)), entries(entry("f", i32(2)), entry("echo", echo))
	c := newCached(t, one)
	require.Nil(t, Cached(c.root, one))
	require.NoDirExists(t, c.root, "to look makes nothing")
	compiled := compileAs(t, one, two)
	for range 2 { // somebody may have been faster
		require.NoError(t, Keep(c.root, one, compiled))
		require.Equal(t, compiled, Cached(c.root, one))
	}
	require.Nil(t, Cached(c.root, two))
	n, err := function1(t, load(t, one, Config{CacheDir: c.root}), "f")(t.Context(), nil, make([]byte, 8))
	require.NoError(t, err)
	require.Equal(t, 2, n)

	require.ErrorContains(t, Keep(c.root, one, compiled[1:]), "damaged")
	require.ErrorContains(t, Keep(c.root, two, compiled), "for another module")
	require.NoError(t, os.Truncate(c.files()["machine code"], 10))
	require.Nil(t, Cached(c.root, one))
	require.NoDirExists(t, c.entry.dir)
	left, err := os.ReadDir(c.root)
	require.NoError(t, err)
	require.Empty(t, left)
}

// compileAs is a module's compiled form with the machine code of another one: what
// runs tells which is used.
func compileAs(t *testing.T, module, machine []byte) []byte {
	t.Helper()
	c, other := newCached(t, module), newCached(t, machine)
	c.use()
	other.use()
	code, err := os.ReadFile(other.files()["machine code"])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(c.files()["machine code"], code, 0o600))
	c.seal()
	compiled, err := c.entry.pack()
	require.NoError(t, err)
	return compiled
}

// What was compiled is what runs, if it is for this module, and whole.
func TestCompiledIsUsed(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	one, two := entries(entry("f", i32(1)), entry("echo", echo)), entries(entry("f", i32(2)), entry("echo", echo))
	compiled := compileAs(t, one, two)
	damaged := bytes.Clone(compiled)
	damaged[len(damaged)/2] ^= 1
	root := filepath.Join(t.TempDir(), "cache")
	for name, c := range map[string]struct {
		code     []byte
		compiled []byte
		config   Config
		want     int
	}{
		"used":                    {one, compiled, Config{}, 2},
		"used, beside a cache":    {one, compiled, Config{CacheDir: root}, 2},
		"of another module":       {entries(entry("f", i32(3))), compiled, Config{}, 3},
		"not for the interpreter": {one, compiled, Config{Interpreter: true}, 1},
		"damaged":                 {one, damaged, Config{}, 1},
		"cut off":                 {one, compiled[:len(compiled)/3], Config{}, 1},
		"nonsense":                {one, []byte("nonsense"), Config{}, 1},
		"cut off, beside a cache": {one, compiled[:len(compiled)/3], Config{CacheDir: root}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			c.config.Compiled = c.compiled
			m := load(t, c.code, c.config)
			n, err := function1(t, m, "f")(t.Context(), nil, make([]byte, 8))
			require.NoError(t, err)
			require.Equal(t, c.want, n)
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
