package native_test

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	examples "github.com/rfaas-go/rfaas/examples/native"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime/native"
)

// build compiles an example as its documentation says.
func build(t *testing.T, source string, compilers ...string) *native.Module {
	t.Helper()
	var cc string
	for _, name := range compilers {
		if path, err := exec.LookPath(name); cc == "" && err == nil {
			cc = path
		}
	}
	if cc == "" && os.Getenv("CI") != "" {
		t.Fatalf("this test needs a compiler (%v), and has to run in CI", compilers)
	} else if cc == "" {
		t.Skipf("needs a compiler (%v)", compilers)
	}
	folder := t.TempDir()
	require.NoError(t, os.CopyFS(folder, examples.Sources))
	object := filepath.Join(folder, "object.so")
	out, err := exec.Command(cc, "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
		"-o", object, filepath.Join(folder, "src", source)).CombinedOutput()
	require.NoError(t, err, string(out))
	m, err := native.Open(object, native.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

// window is an input of mandelbrot.
func window(left, top, width, height float64, columns, rows uint32) (in []byte) {
	for _, x := range []float64{left, top, width, height} {
		in = binary.NativeEndian.AppendUint64(in, math.Float64bits(x))
	}
	in = binary.NativeEndian.AppendUint32(in, columns)
	return binary.NativeEndian.AppendUint32(in, rows)
}

// The functions in C and C++ return what those in Go do, to the byte.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	if _, err := native.Open("", native.Config{}); errors.Is(err, native.ErrNotSupported) {
		t.Skip(err) // this build is another lane's
	}
	c := build(t, "functions.c", "cc", "gcc", "clang")
	cpp := build(t, "mandelbrot.cpp", "c++", "g++", "clang++")
	long := make([]byte, 100_003)
	for i := range long {
		long[i] = byte(i * i >> 3)
	}
	whole := window(-2, 1.25, 2.5, 2.5, 301, 200)
	for name, f := range map[string]struct {
		module *native.Module
		golang invoke.Function
		inputs [][]byte
	}{
		"noop": {c, examples.Noop, [][]byte{nil, long}},
		"echo": {c, examples.Echo, [][]byte{nil, {1}, long}},
		"sum":  {c, examples.Sum, [][]byte{nil, {1}, long[:8], long}},
		"mandelbrot": {cpp, examples.Mandelbrot, [][]byte{
			whole, window(-0.7454, 0.1131, 1e-3, 1e-3, 64, 64),
			nil, whole[:39], window(0, 0, 1, 1, 0, 5), window(0, 0, 1, 1, 4097, 1), window(math.NaN(), 0, 1, 1, 3, 3),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := f.module.Function(name)
			require.NoError(t, err)
			for i, in := range f.inputs {
				got, want := make([]byte, 128<<10), make([]byte, 128<<10)
				n, err := call(t.Context(), in, got)
				require.NoError(t, err)
				m, err := f.golang(t.Context(), in, want)
				require.NoError(t, err)
				require.Equal(t, want[:m], got[:n], i)
			}
		})
	}
}

// The picture shows something: inside, outside, and as many levels as there are.
func TestMandelbrot(t *testing.T) {
	t.Parallel()
	out := make([]byte, 200*200)
	n, err := examples.Mandelbrot(t.Context(), window(-2, 1.25, 2.5, 2.5, 200, 200), out)
	require.NoError(t, err)
	require.Equal(t, len(out), n)
	require.Equal(t, byte(255), out[100*200+160], "the origin")
	require.Equal(t, byte(1), out[0], "a corner")
	levels := map[byte]bool{}
	for _, level := range out {
		levels[level] = true
	}
	require.Greater(t, len(levels), 50)
	n, err = examples.Mandelbrot(t.Context(), window(-2, 1.25, 2.5, 2.5, 200, 200), out[:5])
	require.NoError(t, err)
	require.Equal(t, len(out), n, "the length needed")
}

func TestSum(t *testing.T) {
	t.Parallel()
	in, out := []byte{}, make([]byte, 8)
	for _, x := range []uint64{5, 7, math.MaxUint64} {
		in = binary.NativeEndian.AppendUint64(in, x)
	}
	n, err := examples.Sum(t.Context(), append(in, 9, 9), out)
	require.NoError(t, err)
	require.Equal(t, uint64(11), binary.NativeEndian.Uint64(out[:n]))
}
