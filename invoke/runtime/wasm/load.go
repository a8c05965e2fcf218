package wasm

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"syscall"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

// Load compiles a module, or takes its code from the cache, and prepares the first instance.
// ctx bounds the preparation. The code may be changed afterwards.
func Load(ctx context.Context, code []byte, config Config) (*Module, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Module{config: config}
	if err := m.openDirectories(); err != nil {
		return nil, errors.Join(err, m.free())
	}
	if err := m.compile(ctx, code); err != nil {
		return nil, errors.Join(err, m.free())
	}
	if err := m.imports(ctx); err != nil {
		return nil, errors.Join(err, m.free())
	}
	if err := m.inspect(); err != nil {
		return nil, errors.Join(fmt.Errorf("wasm: %s: %w", config.Name, err), m.free())
	}
	if err := m.begin(ctx); err != nil {
		return nil, errors.Join(err, m.free())
	}
	return m, nil
}

// compile makes the engine and compiles the module.
func (m *Module) compile(ctx context.Context, code []byte) error {
	if m.loadCompiled(ctx, code) {
		return nil
	}
	if m.config.CacheDir == "" || m.config.Interpreter {
		_, err := m.build(ctx, code)
		return err
	}
	entry := cacheEntryOf(m.config.CacheDir, code)
	if entry.load(ctx, m) {
		return nil
	}
	making, err := entry.begin()
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		slog.Warn("compiled WebAssembly code cannot be kept: it is compiled each time", "folder", m.config.CacheDir, "error", err)
		_, err := m.build(ctx, code)
		return err
	}
	if err != nil {
		return fmt.Errorf("wasm: %s: the cache of compiled code: %w", m.config.Name, err)
	}
	m.cache, err = wazero.NewCompilationCacheWithDir(making.whole())
	var instrumented []byte
	if err == nil {
		instrumented, err = m.build(ctx, code)
	}
	if err != nil || m.interpreted {
		making.discard()
		return err
	}
	making.finish(ctx, m, instrumented)
	return nil
}

// build compiles the module and returns its instrumented form.
func (m *Module) build(ctx context.Context, code []byte) ([]byte, error) {
	instrumented, check, err := instrument(code)
	if err != nil {
		return nil, fmt.Errorf("wasm: %s: not a module that can be run: %w", m.config.Name, err)
	}
	if m.config.Interpreter {
		m.startInterpreter(ctx)
	} else if err := m.startCompiler(ctx); err != nil {
		slog.Warn("a WebAssembly module is interpreted, which is about 50 times slower", "module", m.config.Name, "error", err)
		m.startInterpreter(ctx)
	}
	compiling := ctx
	if m.interpreted {
		compiling = listenTo(ctx, check)
	}
	m.compiled, err = m.runtime.CompileModule(compiling, instrumented)
	if err != nil {
		return nil, fmt.Errorf("wasm: %s: compile (with a memory limit of %d bytes): %w", m.config.Name, m.config.MemoryBytes, err)
	}
	return instrumented, nil
}

// imports provides the module's imports: instrument has accepted none but WASI's.
func (m *Module) imports(ctx context.Context) error {
	if len(m.compiled.ImportedFunctions()) == 0 {
		return nil
	}
	host := m.runtime.NewHostModuleBuilder(wasi_snapshot_preview1.ModuleName)
	wasi_snapshot_preview1.NewFunctionExporter().ExportFunctions(host)
	host.NewFunctionBuilder().WithFunc(refuseRenumber).Export("fd_renumber")
	if _, err := host.Instantiate(ctx); err != nil {
		return fmt.Errorf("wasm: %s: prepare WASI: %w", m.config.Name, err)
	}
	return nil
}

// refuseRenumber replaces fd_renumber, which could make wazero allocate a table of two
// billion files. 58 is ENOTSUP.
func refuseRenumber(context.Context, uint32, uint32) uint32 { return 58 }

// inspect finds the entry points and checks the rest of the convention.
func (m *Module) inspect() error {
	exports := m.compiled.ExportedFunctions()
	alloc, start := exports[wasmfile.AllocExport], exports[wasmfile.CommandExport]
	isCommand := start != nil && exports[wasmfile.InitializeExport] == nil
	switch {
	case m.compiled.ExportedMemories()[wasmfile.MemoryExport] == nil:
		return fmt.Errorf("it exports no memory as %q", wasmfile.MemoryExport)
	case isCommand && !hasType(start, wasmfile.FuncType{}):
		return fmt.Errorf("its function %s must have no parameters and no results", wasmfile.CommandExport)
	case isCommand:
	case alloc == nil:
		return fmt.Errorf("it exports no function %s: see the package's documentation for what a module exports", wasmfile.AllocExport)
	case !hasType(alloc, wasmfile.AllocType):
		return fmt.Errorf("its function %s must be of the type (i32) -> i32", wasmfile.AllocExport)
	}
	for _, name := range []string{wasmfile.InitializeExport, startExport} {
		if f := exports[name]; f != nil && !hasType(f, wasmfile.FuncType{}) {
			return fmt.Errorf("its function %s must have no parameters and no results", name)
		}
	}
	if isCommand { // each run has an instance of its own: Module.command
		m.isCommand, m.entries = true, []string{wasmfile.CommandExport}
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(exports)) {
		if wasmfile.IsEntry(name) && hasType(exports[name], wasmfile.EntryType) {
			m.entries = append(m.entries, name)
		}
	}
	if len(m.entries) == 0 {
		return fmt.Errorf("it exports no entry point, a function of the type (i32, i32, i32, i32) -> i32; its functions are: %s",
			strings.Join(slices.Sorted(maps.Keys(exports)), ", "))
	}
	return nil
}

func hasType(f api.FunctionDefinition, t wasmfile.FuncType) bool {
	return t.Equal(wasmfile.FuncType{Params: f.ParamTypes(), Results: f.ResultTypes()})
}
