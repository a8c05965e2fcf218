package equalize_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/wasm/equalize"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime/wasm"
)

func TestEqualize(t *testing.T) {
	t.Parallel()
	out := make([]byte, 8)
	for _, c := range []struct{ in, want []byte }{
		{[]byte{10, 10, 20, 30}, []byte{0, 0, 128, 255}},
		{[]byte{7, 7, 7}, []byte{7, 7, 7}},
		{[]byte{0, 255}, []byte{0, 255}},
		{[]byte{1, 2, 3, 4, 5, 6}, []byte{0, 51, 102, 153, 204, 255}},
	} {
		n, err := equalize.Equalize(c.in, out)
		require.NoError(t, err)
		require.Equal(t, c.want, out[:n])
	}
	n, err := equalize.Equalize([]byte{1, 2, 3}, out[:2])
	require.NoError(t, err)
	require.Equal(t, 3, n, "the length needed")
}

func plain(_ context.Context, in, out []byte) (int, error) { return equalize.Equalize(in, out) }

// build runs a compiler and returns the module.
func build(t testing.TB, environment []string, command ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	file := filepath.Join(t.TempDir(), "equalize.wasm")
	command = append(command, "-o", file)
	c := exec.CommandContext(ctx, command[0], append(command[1:], source(command[0]))...)
	c.Env = append(os.Environ(), environment...)
	output, err := c.CombinedOutput()
	require.NoError(t, err, "%v: %s", command, output)
	code, err := os.ReadFile(file)
	require.NoError(t, err)
	return code
}

func source(compiler string) string {
	if compiler == "go" {
		return "./reactor"
	}
	return "c/equalize.c"
}

func inC(t testing.TB) []byte {
	t.Helper()
	for _, tool := range []string{"clang", "wasm-ld"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing: install the packages clang and lld", tool)
			}
			t.Skipf("%s is missing (in the packages clang and lld): the example in C is not built", tool)
		}
	}
	return build(t, nil, "clang", "--target=wasm32", "-mbulk-memory", "-O2", "-Wall", "-Werror", "-nostdlib", "-Wl,--no-entry")
}

func inGo(t testing.TB) []byte {
	t.Helper()
	return build(t, []string{"GOOS=wasip1", "GOARCH=wasm"}, "go", "build", "-buildmode=c-shared", "-ldflags=-s -w")
}

// function loads a module, with a folder for compiled code unless that is "".
func function(t testing.TB, code []byte, cache string) invoke.Function {
	t.Helper()
	m, err := wasm.Load(t.Context(), code, wasm.Config{Name: equalize.Name, MemoryBytes: 64 << 20, TimeLimit: time.Minute, CacheDir: cache})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	require.Equal(t, []string{equalize.Name}, m.Entries())
	f, err := m.Function(equalize.Name)
	require.NoError(t, err)
	return f
}

func TestModulesGiveWhatGoGives(t *testing.T) {
	t.Parallel()
	for language, code := range map[string]func(testing.TB) []byte{"C": inC, "Go": inGo} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			module, cache := code(t), t.TempDir()
			giveWhatGoGives(t, function(t, module, cache))
			giveWhatGoGives(t, function(t, module, cache)) // from the cache
		})
	}
}

func giveWhatGoGives(t *testing.T, f invoke.Function) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int{1, 2, 63, 64, 4096, 4097, 640 * 480, 100} {
		in := make([]byte, size)
		for i := range in {
			in[i] = byte(max(0, min(255, random.NormFloat64()*20+90)))
		}
		want, got := make([]byte, size), bytes.Repeat([]byte{0xEE}, size+8)
		_, err := plain(t.Context(), in, want)
		require.NoError(t, err)
		n, err := f(t.Context(), in, got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got[:n]), "%d pixels", size)
		require.Equal(t, bytes.Repeat([]byte{0xEE}, 8), got[n:])
	}
	_, err := f(t.Context(), nil, nil)
	require.EqualError(t, err, equalize.ErrEmpty.Error())
	n, err := f(t.Context(), make([]byte, 10), make([]byte, 9))
	require.NoError(t, err)
	require.Equal(t, 10, n, "the length needed")
}

// BenchmarkEqualize compares the three, 64 pixels and 64 KiB of them at a time.
func BenchmarkEqualize(b *testing.B) {
	for _, c := range []struct {
		language string
		f        invoke.Function
	}{{"plain", plain}, {"C", function(b, inC(b), "")}, {"Go", function(b, inGo(b), "")}} {
		for size, name := range map[int]string{64: "64", 64 << 10: "64Ki"} {
			b.Run(c.language+"/"+name, func(b *testing.B) {
				in, out := make([]byte, size), make([]byte, size)
				for i := range in {
					in[i] = byte(i * i)
				}
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.f(b.Context(), in, out); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkStart is how long each module takes until its first call, with its
// compiled code in the cache.
func BenchmarkStart(b *testing.B) {
	for language, build := range map[string]func(testing.TB) []byte{"C": inC, "Go": inGo} {
		code, dir := build(b), b.TempDir()
		b.Run(language, func(b *testing.B) {
			start := func() {
				m, err := wasm.Load(b.Context(), code, wasm.Config{CacheDir: dir, Spares: -1})
				require.NoError(b, err)
				require.NoError(b, m.Close())
			}
			start()
			for b.Loop() {
				start()
			}
		})
	}
}
