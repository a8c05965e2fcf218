package wasm

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/tetratelabs/wazero"
)

// engineVersion is in the names of the cache's folders, because wazero does not
// always know its own version (it does not in tests).
const engineVersion = "wazero v1.12.0"

// cacheEntry is the folder of one module's compiled code. wazero writes a file
// there and renames it when it is whole, so several processes may do it at once.
// But it only has a checksum of a part of the file: a wrong length or offset in
// the rest would crash the process. So the file's SHA-256 is kept beside it, and a
// folder whose files do not match is removed before wazero looks.
type cacheEntry struct {
	dir   string
	cache wazero.CompilationCache
	known bool // it was there
}

const sealSuffix = ".sha256"

func openCache(root string, code []byte) (*cacheEntry, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s\n", engineVersion, runtime.GOOS, runtime.GOARCH)
	h.Write(code)
	e := &cacheEntry{dir: filepath.Join(root, hex.EncodeToString(h.Sum(nil)))}
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return nil, err
	}
	files, sound := e.check()
	if !sound {
		slog.Warn("compiled WebAssembly code in the cache is damaged or half-written; it is made anew", "folder", e.dir)
		for _, file := range files {
			if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
				return nil, fmt.Errorf("remove damaged code: %w", err)
			}
		}
	}
	e.known = sound && len(files) > 0
	var err error
	e.cache, err = wazero.NewCompilationCacheWithDir(e.dir)
	return e, err
}

// check returns the files with code and whether each is what was written.
func (e *cacheEntry) check() (files []string, sound bool) {
	sound = true
	_ = filepath.WalkDir(e.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || !isCode(path) {
			return nil // wazero says what is wrong with the folder
		}
		files = append(files, path)
		want, err := os.ReadFile(path + sealSuffix)
		got, hashErr := hashFile(path)
		sound = sound && err == nil && hashErr == nil && string(want) == got
		return nil
	})
	return files, sound
}

// isCode tells a file of wazero from a seal and from a file that is being written.
func isCode(path string) bool { return filepath.Ext(path) == "" }

// seal notes what wazero wrote. Without it the code is compiled again next time.
func (e *cacheEntry) seal() {
	if e.known {
		return
	}
	files, _ := e.check()
	for _, file := range files {
		if err := writeSeal(file); err != nil {
			slog.Warn("the cache of compiled WebAssembly code cannot be written", "folder", e.dir, "error", err)
		}
	}
}

func writeSeal(file string) error {
	sum, err := hashFile(file)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), "seal.*.tmp")
	if err != nil {
		return err
	}
	_, err = temporary.WriteString(sum)
	if closeErr := temporary.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(temporary.Name(), file+sealSuffix)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // nothing was written
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
