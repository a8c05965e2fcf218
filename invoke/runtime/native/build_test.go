//go:build cgo && linux && (amd64 || arm64)

package native_test

import (
	"embed"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime/native"
)

// The sources of the shared objects, so that the test program can build them anywhere.
//
//go:embed testdata
var sources embed.FS

var folder string // of this run, with the sources and the objects

func TestMain(m *testing.M) {
	if os.Getenv(childObject) != "" {
		child()
		return
	}
	var err error
	if folder, err = os.MkdirTemp("", "native"); err != nil {
		panic(err)
	}
	if err = os.CopyFS(folder, sources); err != nil {
		panic(err)
	}
	status := m.Run()
	_ = os.RemoveAll(folder)
	os.Exit(status)
}

// compiler finds a compiler. Without one it skips the test, or fails it in CI.
func compiler(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs a compiler (%v), and has to run in CI", names)
	}
	t.Skipf("needs a compiler (%v)", names)
	return ""
}

// objects are the objects built so far, by their command lines.
var objects struct {
	sync.Mutex
	paths map[string]string
}

// build compiles a source in testdata with further flags, once, and returns the
// path of the object.
func build(t testing.TB, source string, flags ...string) string {
	t.Helper()
	names, standard := []string{"cc", "gcc", "clang"}, "-std=gnu11"
	if filepath.Ext(source) == ".cpp" {
		names, standard = []string{"c++", "g++", "clang++"}, "-std=c++17"
	}
	cc := compiler(t, names...)
	objects.Lock()
	defer objects.Unlock()
	key := filepath.Join(append([]string{source}, flags...)...)
	if path, ok := objects.paths[key]; ok {
		return path
	}
	f, err := os.CreateTemp(folder, "*.so")
	require.NoError(t, err)
	require.NoError(t, f.Close())
	args := append([]string{standard, "-O1", "-Wall", "-Wextra", "-Wno-infinite-recursion", "-shared", "-fPIC", "-pthread",
		"-o", f.Name(), filepath.Join(folder, "testdata", source)}, flags...)
	out, err := exec.Command(cc, args...).CombinedOutput()
	require.NoError(t, err, string(out))
	if objects.paths == nil {
		objects.paths = map[string]string{}
	}
	objects.paths[key] = f.Name()
	return f.Name()
}

// open loads a module for the length of the test.
func open(t testing.TB, path string, config native.Config) *native.Module {
	t.Helper()
	m, err := native.Open(path, config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func function(t testing.TB, m *native.Module, entry string) invoke.Function {
	t.Helper()
	f, err := m.Function(entry)
	require.NoError(t, err)
	return f
}
