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

// Compile compiles a module, and returns the result for Config.Compiled, so that processes
// that run functions need neither compile nor read a cache. It runs no code of the module,
// and uses no cache. Where modules are interpreted, the result is nil.
//
// A module of 100 KB can make it use gigabytes, and minutes: wazero limits neither its memory
// nor its time, and does not look at ctx. For untrusted modules use a process with limits, see
// executor.Supervisor.Compile.
func Compile(ctx context.Context, code []byte, config Config) (compiled []byte, err error) {
	config, err = config.withDefaults()
	if err != nil {
		return nil, err
	}
	if config.CacheDir, err = os.MkdirTemp("", "rfaas-wasm-"); err != nil {
		return nil, fmt.Errorf("wasm: %s: a folder to compile in: %w", config.Name, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(config.CacheDir)) }()
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
	if compiled, err = cacheEntryOf(config.CacheDir, code).pack(); err != nil {
		return nil, fmt.Errorf("wasm: %s: the compiled code is missing: %w", config.Name, err)
	}
	return compiled, nil
}

// Cached returns what Keep has stored of a module in a folder, for Config.Compiled. It is nil
// if there is nothing, or it is damaged.
func Cached(dir string, code []byte) []byte {
	e := cacheEntryOf(dir, code)
	_, err := e.verified()
	var compiled []byte
	if err == nil {
		compiled, err = e.pack()
	}
	if err != nil && !errors.Is(err, errNotThere) {
		e.remove(err)
	}
	return compiled
}

// Keep stores the result of Compile in a folder, which it creates if need be: for Cached, and
// for processes with this Config.CacheDir.
func Keep(dir string, code, compiled []byte) (err error) {
	e := cacheEntryOf(dir, code)
	making, err := e.begin()
	if err != nil {
		return fmt.Errorf("wasm: the cache of compiled code: %w", err)
	}
	defer making.discard()
	entry := cacheEntryOf(making.folder, code)
	outline, err := entry.unpack(compiled)
	if err == nil {
		err = entry.seal(outline)
	}
	if err == nil {
		err = making.rename(entry.dir)
	}
	if err != nil {
		return fmt.Errorf("wasm: the cache of compiled code: %s: %w", dir, err)
	}
	return nil
}

// pack makes an archive of an entry: a checksum, and a tar of its files, whose paths begin
// with the name of the entry.
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

// loadCompiled takes the module's code from config.Compiled and reports whether it could.
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
	// wazero reads machine code from a file, and only while it compiles the module.
	root, err := os.MkdirTemp("", "rfaas-wasm-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(root)) }()
	e := cacheEntryOf(root, code)
	outline, err := e.unpack(m.config.Compiled)
	if err != nil {
		return err
	}
	files, err := e.files()
	if err != nil {
		return err
	}
	return e.compile(ctx, m, outline, files)
}

// unpack writes the file with the machine code, and returns the outline.
func (e *cacheEntry) unpack(compiled []byte) (outline []byte, err error) {
	if len(compiled) < checksumBytes || binary.BigEndian.Uint32(compiled) != crc32.Checksum(compiled[checksumBytes:], castagnoli) {
		return nil, errors.New("it is damaged")
	}
	r := tar.NewReader(bytes.NewReader(compiled[checksumBytes:]))
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
		if h.Size > int64(len(compiled)) {
			return nil, errors.New("a file in it is larger than all of it")
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
