package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke/pack"
)

// compile makes a shared object of a source in C.
func compile(t *testing.T, path, source string) {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		require.Empty(t, os.Getenv("CI"), "gcc is missing")
		t.Skip("gcc is missing")
	}
	c := filepath.Join(t.TempDir(), "functions.c")
	require.NoError(t, os.WriteFile(c, []byte(source), 0o644))
	out, err := exec.Command("gcc", "-O1", "-w", "-shared", "-fPIC", "-pthread", "-o", path, c).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// greetings is the source of two functions in C.
const greetings = `void abort(void);
unsigned greet(void *a, unsigned n, void *r) { if (n > 9) abort(); return 0; }
unsigned other(void *a, unsigned n, void *r) { return 0; }`

func TestPackAndInspect(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "hello.so"), greetings)

	status, stdout, stderr := run(t, dir, "pack", "hello.so")
	require.Equal(t, exitOK, status, stderr)
	require.Regexp(t, `^hello\.rfaas: sha256:[0-9a-f]{64}\n$`, stdout)
	require.Empty(t, stderr)
	digest := strings.TrimSpace(strings.TrimPrefix(stdout, "hello.rfaas: "))

	stdout = succeed(t, dir, "inspect", "hello.rfaas")
	require.Contains(t, stdout, "hello.rfaas: hello 0.0.0\n  digest      "+digest+"\n")
	require.Contains(t, stdout, "  limits      slot 64KiB, memory 256MiB, time 1m0s\n  function    greet\n  function    other\n  file        hello.so, ")
	require.Contains(t, stdout, "  entry point greet\n  entry point other\n  needs       libc.so.6\n")
	require.NotContains(t, stdout, "problem")

	stdout = succeed(t, dir, "inspect", "hello.so")
	require.Contains(t, stdout, digest, "bare code is the package that would be made of it")

	bytes := succeed(t, dir, "pack", "-o", "-", "hello.so")
	require.Equal(t, read(t, dir, "hello.rfaas"), bytes)

	succeed(t, dir, "pack", "-o", "x.rfaas", "--name", "n", "--version", "1.2", "--function", "hi=greet,idempotent", "--function", "other",
		"--slot-bytes", "1MiB", "--memory", "1GiB", "--time-limit", "1500ms", "hello.so")
	stdout = succeed(t, dir, "inspect", "--json", "x.rfaas")
	var i inspected
	require.NoError(t, json.Unmarshal([]byte(stdout), &i))
	m := i.Manifest
	require.Equal(t, []pack.Function{{Name: "hi", Entry: "greet", Idempotent: true}, {Name: "other", Entry: "other"}}, m.Functions)
	require.Equal(t, []any{"n", "1.2", 1 << 20, int64(1 << 30), "1.5s"}, []any{m.Name, m.Version, m.SlotBytes, m.MemoryBytes, m.TimeLimit.String()})
	require.Equal(t, []string{"greet", "other"}, i.Code.EntryPoints)
	require.EqualValues(t, len(read(t, dir, "x.rfaas")), i.SizeBytes)
	stdout = succeed(t, dir, "inspect", "x.rfaas")
	require.Contains(t, stdout, "  function    hi, entry point greet, idempotent\n")
}

// Names that a compiler has made are left out, which is said, unless they are asked for.
func TestPackMangled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "mixed.so"), greetings+` unsigned _Z4wavePvjS_(void *a, unsigned n, void *r) { return 0; }`)
	for function, said := range map[string]string{"": "rfaas pack: left out: 1 mangled names of C++ or Rust; --function offers what is chosen\n", "wave=_Z4wavePvjS_": ""} {
		args := []string{"pack", "mixed.so"}
		if function != "" {
			args = append(args, "--function", function)
		}
		status, _, stderr := run(t, dir, args...)
		require.Equal(t, exitOK, status)
		require.Equal(t, said, stderr)
	}
	require.Empty(t, succeed(t, dir, "invoke", "mixed.so:_Z4wavePvjS_"))
}

func TestPackProgram(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "words.py", "#!/usr/bin/env python3\n")
	succeed(t, dir, "pack", "--warm", "--argument", "-v", "--argument", "a,\x1b b", "words.py")
	stdout := succeed(t, dir, "inspect", "words.rfaas")
	require.Contains(t, stdout, "  runtime     command\n  module      words.py\n")
	require.Contains(t, stdout, "  function    words\n  argument    -v\n  argument    \"a,\\x1b b\"\n  warm        started once, serves calls\n")
	require.Contains(t, stdout, "  code        linux\n  needs       /usr/bin/env\n  needs       python3\n")
	require.NotContains(t, stdout, "problem")
	status, _, stderr := run(t, dir, "pack", "--warm", "--argument", "{}", "words.py")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stderr, "a program that is warm reads its calls")
}

// What a package asks for is shown, and what this build cannot run, too.
func TestInspectText(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	i := &inspected{
		Manifest: pack.Manifest{WASI: pack.WASI{Directories: []pack.Directory{{Name: "models"}, {Name: "out", Writable: true}}}},
		Code:     &pack.Code{EntryPoints: []string{"\x1b[31m"}}, Problem: "another machine",
	}
	require.NoError(t, i.write(&b, "x", false))
	require.Contains(t, b.String(), "  asks for    directory models, read-only\n  asks for    directory out, writable\n")
	require.Contains(t, b.String(), "  entry point \"\\x1b[31m\"\n")
	require.Contains(t, b.String(), "  problem     another machine\n")
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, filepath.Join(dir, "hello.so"), greetings)
	write(t, dir, "text", "just text")
	write(t, dir, "hello.rfaas", "former")
	for _, c := range []struct {
		status int
		want   string
		args   []string
	}{
		{exitUsage, "rfaas pack: of what? one PATH", []string{"pack"}},
		{exitUsage, "after the comma there can be \"idempotent\" only", []string{"pack", "--function", "greet,pure", "hello.so"}},
		{exitUsage, "a name is missing", []string{"pack", "--function", "greet=", "hello.so"}},
		{exitUsage, "--memory 0: must be more than 0; leave it out for the default", []string{"pack", "--memory", "0", "hello.so"}},
		{exitUsage, "after the comma there can be \"writable\" only", []string{"pack", "--wasi-directory", "x,y", "hello.so"}},
		{exitFailed, "wasi: is for the runtime wasm", []string{"pack", "--wasi-directory", "x,writable", "hello.so"}},
		{exitFailed, "wasi: is for the runtime wasm", []string{"pack", "--wasi-directory", "models", "hello.so"}},
		{exitFailed, `no entry point "wave"; there are: greet, other`, []string{"pack", "--function", "wave", "hello.so"}},
		{exitUsage, "slot_bytes: 2147483647: must be", []string{"pack", "--slot-bytes", "9GiB", "hello.so"}},
		{exitFailed, "text is a package already, or no code", []string{"pack", "text"}},
		{exitFailed, "no such file", []string{"pack", "missing"}},
		{exitFailed, "no such file", []string{"pack", "-o", "missing/x.rfaas", "hello.so"}},
		{exitUsage, "rfaas inspect: which FILE?", []string{"inspect"}},
		{exitFailed, "is neither a package nor code", []string{"inspect", "text"}},
	} {
		status, stdout, stderr := run(t, dir, c.args...)
		require.Equal(t, c.status, status, stderr)
		require.Contains(t, stderr, c.want)
		require.Empty(t, stdout)
	}
	require.Equal(t, "former", read(t, dir, "hello.rfaas"), "nothing is replaced by what fails")
	require.Equal(t, []string{"hello.rfaas", "hello.so", "text"}, namesIn(t, dir))
}
