package wasm

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// Compile compiles a module, or takes its code from the cache of config.CacheDir, and
// returns it in a form for Config.Compiled: so that processes which run functions
// need neither compile nor be allowed to read a cache. It runs nothing of the module,
// and fills the cache, if there is a CacheDir. It returns nothing where modules are
// interpreted.
func Compile(ctx context.Context, code []byte, config Config) (compiled []byte, err error) {
	config, err = config.withDefaults()
	if err != nil {
		return nil, err
	}
	compiled, err = compileInto(ctx, code, config)
	if config.CacheDir != "" && !errors.Is(err, errNotKept) {
		return compiled, err
	}
	if config.CacheDir, err = os.MkdirTemp("", "rfaas-wasm-"); err != nil {
		return nil, fmt.Errorf("wasm: %s: a folder to compile in: %w", config.Name, err)
	}
	defer os.RemoveAll(config.CacheDir)
	return compileInto(ctx, code, config)
}

// errNotKept means that a module was compiled, and that its code is not in the cache.
var errNotKept = errors.New("the cache does not have it")

// compileInto is Compile with a cache, unless there is none.
func compileInto(ctx context.Context, code []byte, config Config) (compiled []byte, err error) {
	if config.CacheDir == "" {
		return nil, errNotKept
	}
	m := &Module{config: config}
	defer func() { err = errors.Join(err, m.free()) }()
	if err := m.compile(ctx, code); err != nil {
		return nil, err
	}
	if err := m.inspect(); err != nil {
		return nil, fmt.Errorf("wasm: %s: %w", config.Name, err)
	}
	if m.interpreted {
		return nil, nil
	}
	compiled, err = cacheEntryOf(config.CacheDir, code).pack()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNotKept
	}
	return compiled, err
}

// pack makes an archive of an entry, in which the paths begin with what it is for.
func (e *cacheEntry) pack() ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(e.root, path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o600}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// unpack makes a folder with one entry, that of the module.
func unpack(compiled, code []byte) (_ *cacheEntry, err error) {
	root, err := os.MkdirTemp("", "rfaas-wasm-")
	if err != nil {
		return nil, err
	}
	e := cacheEntryOf(root, code)
	defer func() {
		if err != nil {
			os.RemoveAll(root)
		}
	}()
	in, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	for r := tar.NewReader(bytes.NewReader(compiled)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(r)
		if err == nil {
			err = in.MkdirAll(filepath.Dir(h.Name), 0o700)
		}
		if err == nil {
			err = in.WriteFile(h.Name, data, 0o600)
		}
		if err != nil {
			return nil, err
		}
	}
	if _, err := os.Stat(e.dir); err != nil {
		return nil, errors.New("it is for another module, another processor, or another version of this program")
	}
	return e, nil
}

// loadCompiled takes the module's code from config.Compiled and reports whether it is
// there.
func (m *Module) loadCompiled(ctx context.Context, code []byte) bool {
	if len(m.config.Compiled) == 0 || m.config.Interpreter {
		return false
	}
	e, err := unpack(m.config.Compiled, code)
	if err != nil {
		slog.Warn("compiled WebAssembly code cannot be used; the module is compiled again", "module", m.config.Name, "error", err)
		return false
	}
	defer os.RemoveAll(e.root) // wazero has read it
	return e.load(ctx, m, m.settings())
}
