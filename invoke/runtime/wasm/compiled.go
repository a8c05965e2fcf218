package wasm

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
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

// pack makes an archive of an entry: a checksum, and a tar of its files, in which the
// paths begin with what it is for.
func (e *cacheEntry) pack() ([]byte, error) {
	var b bytes.Buffer
	b.Write(make([]byte, checksumBytes))
	w := tar.NewWriter(&b)
	err := filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == sumsFile {
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
	all := b.Bytes()
	binary.BigEndian.PutUint32(all, crc32.Checksum(all[checksumBytes:], castagnoli))
	return all, nil
}

const checksumBytes = 4

// loadCompiled takes the module's code from config.Compiled and reports whether it is
// there.
func (m *Module) loadCompiled(ctx context.Context, code []byte) bool {
	if len(m.config.Compiled) == 0 || m.config.Interpreter {
		return false
	}
	err := m.tryCompiled(ctx, code)
	if err == nil {
		return true
	}
	err = errors.Join(err, m.freeEngine())
	slog.Warn("compiled WebAssembly code cannot be used; the module is compiled again", "module", m.config.Name, "error", err)
	return false
}

func (m *Module) tryCompiled(ctx context.Context, code []byte) (err error) {
	c := m.config.Compiled
	if len(c) < checksumBytes || binary.BigEndian.Uint32(c) != crc32.Checksum(c[checksumBytes:], castagnoli) {
		return errors.New("it is damaged")
	}
	// wazero wants machine code in a file, and has read it when the module is compiled.
	root, err := os.MkdirTemp("", "rfaas-wasm-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	e := cacheEntryOf(root, code)
	outline, err := e.unpack(tar.NewReader(bytes.NewReader(c[checksumBytes:])))
	if err != nil {
		return err
	}
	files, err := e.files(nil)
	if err != nil {
		return err
	}
	return e.compile(ctx, m, m.settings(), outline, files)
}

// unpack writes the file with the machine code, and returns the outline.
func (e *cacheEntry) unpack(r *tar.Reader) (outline []byte, err error) {
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return outline, nil
		} else if err != nil {
			return nil, err
		}
		path := filepath.Join(e.root, h.Name)
		if inside, err := filepath.Rel(e.dir, path); err != nil || !filepath.IsLocal(inside) {
			return nil, errors.New("it is for another module, another processor, or another version of this program")
		}
		data := make([]byte, h.Size)
		if _, err := io.ReadFull(r, data); err != nil {
			return nil, err
		}
		if filepath.Base(path) == outlineFile {
			outline = data
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			return nil, err
		}
	}
}
