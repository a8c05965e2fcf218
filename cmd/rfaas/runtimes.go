package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/invoke/runtime/command"
	"github.com/rfaas-go/rfaas/invoke/runtime/native"
	"github.com/rfaas-go/rfaas/invoke/runtime/wasm"
)

// runtimes are the kinds of code that executors of this program load.
var runtimes = map[string]executor.Loader{runtime.Native: loadNative, runtime.Wasm: loadWasm, runtime.Command: loadCommand}

func loadNative(_ context.Context, c executor.Code) (runtime.Module, error) {
	config := native.Config{StackBytes: int(c.StackBytes), Global: true, Overrun: c.Overrun, Overflow: c.Overflow}
	if c.Path != "" {
		return native.Open(c.Path, config)
	}
	return native.OpenFile(c.File, config)
}

func loadCommand(_ context.Context, c executor.Code) (runtime.Module, error) {
	return command.Open(command.Config{
		Name: c.Entry, Program: c.Path, Arguments: c.Arguments, Environment: programEnvironment(c.Folder), Directory: c.Folder,
		TempDirectory: os.TempDir(), Warm: c.Warm, Stderr: os.Stderr,
	})
}

// programEnvironment is the environment of programs: this process's, and what it lacks. In
// a package, Python must not write what it compiles, and libraries are found.
func programEnvironment(folder string) []string {
	env := os.Environ()
	missing := map[string]string{"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		delete(missing, name)
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		env = append(env, name+"="+missing[name])
	}
	if folder == "" {
		return env
	}
	for i, v := range env { // that of this process is by its working directory, and programs may change theirs
		if text, ok := strings.CutPrefix(v, loaderPath+"="); ok {
			env[i] = loaderPath + "=" + strings.ReplaceAll(text, "/proc/self/cwd", folder)
		}
	}
	return env
}

func loadWasm(ctx context.Context, c executor.Code) (runtime.Module, error) {
	code, err := readAll(c.File)
	if err != nil {
		return nil, err
	}
	config := wasm.Config{
		Name: c.File.Name(), MemoryBytes: uint64(c.MemoryBytes), TimeLimit: c.TimeLimit,
		Instances: 1, Env: c.Env,
		Stdout: os.Stdout, Stderr: os.Stderr,
	}
	if !c.Isolated {
		config.CacheDir = wasmCache()
	}
	if c.Compiled != nil {
		if config.Compiled, err = readAll(c.Compiled); err != nil {
			return nil, err
		}
	}
	for _, d := range c.Directories {
		config.Directories = append(config.Directories, wasm.Directory(d))
	}
	m, err := wasm.Load(ctx, code, config)
	if err != nil {
		return nil, err
	}
	return m, nil
}

// compilers compile in advance what executors load.
var compilers = map[string]executor.Compiler{runtime.Wasm: compileWasm}

func compileWasm(ctx context.Context, c executor.Code) ([]byte, error) {
	code, err := readAll(c.File)
	if err != nil {
		return nil, err
	}
	return wasm.Compile(ctx, code, wasm.Config{Name: c.File.Name(), MemoryBytes: uint64(c.MemoryBytes)})
}

// compileProgram is agent.Config.Compile. Isolated executors have no cache, as others could
// write there.
func compileProgram(ctx context.Context, s *executor.Supervisor, p *agent.Program) error {
	if p.Runtime != runtime.Wasm {
		return nil
	}
	code, err := readAll(p.Code)
	if err != nil {
		return err
	}
	cache := wasmCache()
	if cache != "" {
		if compiled := wasm.Cached(cache, code); compiled != nil {
			p.Compiled, err = executor.SealedCode(p.Code.Name(), bytes.NewReader(compiled))
			return err
		}
	}
	p.Compiled, err = s.Compile(ctx, executor.Compilation{Runtime: p.Runtime, Code: p.Code, MemoryBytes: p.MemoryBytes})
	if err != nil || p.Compiled == nil || cache == "" {
		return err
	}
	compiled, err := readAll(p.Compiled)
	if err == nil {
		err = wasm.Keep(cache, code, compiled)
	}
	if err != nil {
		slog.Warn("compiled WebAssembly code cannot be kept: it is compiled each time", "reason", err)
	}
	return nil
}

// readAll is a file's content. Others read it at the same time.
func readAll(f *os.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(io.NewSectionReader(f, 0, info.Size()), data)
	return data, err
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
