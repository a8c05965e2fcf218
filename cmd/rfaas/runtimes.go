package main

import (
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/invoke/runtime/native"
	"github.com/rfaas-go/rfaas/invoke/runtime/wasm"
)

// runtimes are the kinds of code that executors of this program load.
var runtimes = map[string]executor.Loader{runtime.Native: loadNative, runtime.Wasm: loadWasm}

func loadNative(_ context.Context, c executor.Code) (runtime.Module, error) {
	return native.OpenFile(c.File, native.Config{})
}

func loadWasm(ctx context.Context, c executor.Code) (runtime.Module, error) {
	code, err := io.ReadAll(io.NewSectionReader(c.File, 0, 1<<62))
	if err != nil {
		return nil, err
	}
	return wasm.Load(ctx, code, wasm.Config{
		Name: c.File.Name(), MemoryBytes: uint64(c.MemoryBytes), TimeLimit: c.TimeLimit,
		Instances: 1, CacheDir: wasmCache(), Output: os.Stderr,
	})
}

// wasmCache is where compiled modules are kept, empty if this user has no place
// for that.
func wasmCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "rfaas", "wasm")
}
