// Package python_test calls functions in Python.
package python_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime/command"
)

// interpreter is python3 itself, and not a script that chooses one. Without it the test is skipped, and fails in CI.
var interpreter = sync.OnceValues(func() (string, error) {
	path, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	return strings.TrimSpace(string(path)), err
})

func python(t testing.TB) string {
	t.Helper()
	path, err := interpreter()
	if err != nil {
		require.Empty(t, os.Getenv("CI"), "python3 is missing: %v", err)
		t.Skipf("needs python3: %v", err)
	}
	return path
}

// serve opens a script that serves calls.
func serve(t testing.TB, stderr *strings.Builder, arguments ...string) (*command.Module, invoke.Function) {
	t.Helper()
	here, err := filepath.Abs(".")
	require.NoError(t, err)
	config := command.Config{
		Name: "f", Program: python(t), Arguments: arguments, Warm: true,
		Environment: []string{"PYTHONPATH=" + here, "PYTHONDONTWRITEBYTECODE=1"},
	}
	if stderr != nil {
		config.Stderr = stderr
	}
	m, err := command.Open(config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	f, err := m.Function("f")
	require.NoError(t, err)
	return m, f
}

func TestWords(t *testing.T) {
	t.Parallel()
	_, f := serve(t, nil, "words.py")
	out := make([]byte, 10)
	for in, want := range map[string]string{"": "0", "zwei grüne Wörter": "3", strings.Repeat("a b ", 1<<20): "2097152"} {
		n, err := f(t.Context(), []byte(in), out)
		require.NoError(t, err)
		require.Equal(t, want, string(out[:n]))
	}
	_, err := f(t.Context(), []byte("\xff"), out)
	require.ErrorContains(t, err, "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff")
}

func TestServe(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	m, f := serve(t, &stderr, "-c", `
import os, rfaas
print("imported")
def f(data):
    print("called")
    os.system("echo from a child")
    return {b"bytes": b"\0\xff", b"str": "grün", b"array": bytearray(b"abc"), b"none": None, b"number": 7}[data]
rfaas.serve(f)`)
	out := make([]byte, 10)
	for in, want := range map[string]string{"bytes": "\x00\xff", "str": "grün", "array": "abc"} {
		n, err := f(t.Context(), []byte(in), out)
		require.NoError(t, err)
		require.Equal(t, want, string(out[:n]))
	}
	for in, want := range map[string]string{"none": "TypeError: memoryview: a bytes-like object is required, not 'NoneType'", "number": "TypeError", "other": "KeyError: b'other'"} {
		_, err := f(t.Context(), []byte(in), out)
		var e *invoke.FunctionError
		require.ErrorAs(t, err, &e)
		require.EqualValues(t, 1, e.Code)
		require.Contains(t, e.Message, want)
	}
	require.NoError(t, m.Close())
	for line, n := range map[string]int{"imported\n": 1, "called\n": 6, "from a child\n": 6, "Traceback (most recent call last):\n": 3} {
		require.Equal(t, n, strings.Count(stderr.String(), line), "%s in %s", line, stderr.String())
	}
}

// What ends the interpreter ends the call, and the next call has a new one.
func TestExit(t *testing.T) {
	t.Parallel()
	_, f := serve(t, nil, "-c", `
import rfaas, sys
def f(data):
    if data:
        sys.exit(data.decode())
    return "ok"
rfaas.serve(f)`)
	_, err := f(t.Context(), []byte("the reason"), nil)
	require.ErrorIs(t, err, invoke.ErrCrashed)
	require.ErrorContains(t, err, "exit status 1: the reason")
	out := make([]byte, 10)
	n, err := f(t.Context(), nil, out)
	require.NoError(t, err)
	require.Equal(t, "ok", string(out[:n]))
}

// BenchmarkCall is a call of an interpreter that runs.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{64, 1 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			_, f := serve(b, nil, "-c", "import rfaas; rfaas.serve(lambda data: data)")
			in, out := make([]byte, size), make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f(b.Context(), in, out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
