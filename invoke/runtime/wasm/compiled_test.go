package wasm

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Compile runs no code of a module, leaves nothing, and refuses what Load would refuse.
func TestCompile(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	trap := function{"_initialize", typeNone, op["unreachable"]}
	module := entries(entry("echo", echo), trap)
	compiled, err := Compile(t.Context(), module, Config{})
	require.NoError(t, err, "no code of it runs")
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

// Code that was compiled elsewhere is kept as if it had been compiled with the cache: for
// Cached, and for Load with the cache.
func TestKeep(t *testing.T) {
	t.Parallel()
	one, two := returning(1), returning(2)
	c := newCached(t, one)
	require.Nil(t, Cached(c.root, one))
	require.NoDirExists(t, c.root, "Cached creates nothing")
	compiled := compileAs(t, one, two)
	for range 2 { // another process may have been first
		require.NoError(t, Keep(c.root, one, compiled))
		require.Equal(t, compiled, Cached(c.root, one))
	}
	require.Nil(t, Cached(c.root, two))
	require.Equal(t, 2, resultOfF(t, load(t, one, Config{CacheDir: c.root})))

	require.ErrorContains(t, Keep(c.root, one, compiled[1:]), "damaged")
	require.ErrorContains(t, Keep(c.root, two, compiled), "for another module")
	require.NoError(t, os.Truncate(c.files()["machine code"], 10))
	require.Nil(t, Cached(c.root, one))
	require.NoDirExists(t, c.entry.dir)
	left, err := os.ReadDir(c.root)
	require.NoError(t, err)
	require.Empty(t, left)
}

// compileAs is a module's compiled form with the machine code of another one.
func compileAs(t *testing.T, module, machine []byte) []byte {
	t.Helper()
	compiled, err := exchanged(t, module, machine).entry.pack()
	require.NoError(t, err)
	return compiled
}

// Config.Compiled is what runs, if it is complete and for this module.
func TestCompiledIsUsed(t *testing.T) {
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	one, two := returning(1), returning(2)
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
			require.Equal(t, c.want, resultOfF(t, load(t, c.code, c.config)))
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			require.Empty(t, left)
		})
	}
}
