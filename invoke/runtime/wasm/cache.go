package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

// What compiled code depends on besides the module; the names of the cache's folders include
// it. wazero does not always know its own version (it does not in tests).
const (
	engineVersion  = "wazero v1.12.0"
	rewriteVersion = "checks 2" // to be changed with any change of instrument's output
)

// A module's entry in the cache is a folder. It is made elsewhere, renamed when it is
// complete, and never changed: several processes may use it, and make it, at once. It has
//
//   - outline.wasm, the instrumented module with function bodies that only trap. wazero
//     decodes and validates a module each time, even if it has the machine code; the
//     outline makes that short, and needs no instrumentation.
//   - the file with the machine code of the complete module, under the name by which
//     wazero finds the outline's.
//   - sums, checksums of both. wazero itself checks only a part of its file: a wrong
//     length or offset in the rest would crash the process.
const (
	outlineFile = "outline.wasm"
	sumsFile    = "sums"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type cacheEntry struct {
	root, dir string
}

func cacheEntryOf(root string, code []byte) *cacheEntry {
	h := sha256.New()
	fmt.Fprintf(h, "%s, %s, %s %s\n", engineVersion, rewriteVersion, runtime.GOOS, runtime.GOARCH)
	h.Write(code)
	return &cacheEntry{root, filepath.Join(root, hex.EncodeToString(h.Sum(nil)))}
}

// errNotThere means that the cache has no such entry.
var errNotThere = errors.New("not in the cache")

// load compiles the module from the cache and reports whether it could.
func (e *cacheEntry) load(ctx context.Context, m *Module) bool {
	files, err := e.verified()
	var outline []byte
	if err == nil {
		outline, err = os.ReadFile(filepath.Join(e.dir, outlineFile))
	}
	if err == nil {
		err = e.compile(ctx, m, outline, files)
	}
	if err == nil {
		return true
	}
	err = errors.Join(err, m.freeEngine())
	if !errors.Is(err, errNotThere) && !errors.Is(err, errNoCompiler) {
		e.remove(err)
	}
	return false
}

// verified returns the files of an entry if they are complete.
func (e *cacheEntry) verified() (entryFiles, error) {
	sums, err := os.ReadFile(filepath.Join(e.dir, sumsFile))
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(e.dir); err != nil {
			return nil, errNotThere
		}
	}
	if err != nil {
		return nil, err
	}
	files, err := e.files()
	if err != nil {
		return nil, err
	}
	return files, files.check(string(sums))
}

// remove removes an unusable entry.
func (e *cacheEntry) remove(reason error) {
	slog.Warn("compiled WebAssembly code in the cache cannot be used; it is compiled again", "folder", e.dir, "error", reason)
	if err := os.RemoveAll(e.dir); err != nil {
		slog.Warn("compiled WebAssembly code in the cache cannot be removed", "folder", e.dir, "error", err)
	}
}

// compile compiles the outline with wazero, which finds the machine code of the complete
// module for it. If it did not, it wrote to the folder.
func (e *cacheEntry) compile(ctx context.Context, m *Module, outline []byte, before entryFiles) (err error) {
	if m.cache, err = wazero.NewCompilationCacheWithDir(e.dir); err != nil {
		return err
	}
	if err := m.startCompiler(ctx); err != nil {
		return err
	}
	if m.compiled, err = m.runtime.CompileModule(ctx, outline); err != nil {
		return err
	}
	after, err := e.files()
	if err != nil {
		return err
	}
	if !maps.EqualFunc(before, after, func(a, b fs.FileInfo) bool {
		return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
	}) {
		return errors.New("it is for another processor, or another process has just removed it")
	}
	return nil
}

// entryFiles are the files of an entry, by their paths, without the sums.
type entryFiles map[string]fs.FileInfo

// files lists them.
func (e *cacheEntry) files() (entryFiles, error) {
	found := entryFiles{}
	return found, fs.WalkDir(os.DirFS(e.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == sumsFile {
			return err
		}
		found[filepath.Join(e.dir, name)], err = d.Info()
		return err
	})
}

// sums are the checksums, one line per file.
func (f entryFiles) sums() (string, error) {
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(f)) {
		h := crc32.New(castagnoli) // against damage; who can write here needs no false checksum
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		_, err = io.Copy(h, file)
		if err := errors.Join(err, file.Close()); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%08x %d %s\n", h.Sum32(), f[path].Size(), filepath.Base(path))
	}
	return b.String(), nil
}

func (f entryFiles) check(want string) error {
	got, err := f.sums()
	if err == nil && got != want {
		err = errors.New("it is damaged or incomplete")
	}
	return err
}

// newEntry is an entry that is being made, in a folder of its own.
type newEntry struct {
	*cacheEntry
	folder string
}

// begin creates a folder to make the entry in.
func (e *cacheEntry) begin() (*newEntry, error) {
	if err := os.MkdirAll(e.root, 0o700); err != nil {
		return nil, err
	}
	e.tidy()
	folder, err := os.MkdirTemp(e.root, "new.*")
	if err != nil {
		return nil, err
	}
	return &newEntry{e, folder}, nil
}

// whole is the folder where wazero stores the code of the complete module.
func (n *newEntry) whole() string { return filepath.Join(n.folder, "whole") }

// abandoned is the age from which on an unfinished folder counts as left by a killed process.
const abandoned = time.Hour

// tidy removes what killed processes have left.
func (e *cacheEntry) tidy() {
	left, _ := filepath.Glob(filepath.Join(e.root, "new.*")) // the pattern is valid
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > abandoned {
			(&newEntry{e, dir}).discard()
		}
	}
}

// finish makes an entry of what wazero has compiled for this module. If that fails, the
// module is compiled again next time.
func (n *newEntry) finish(ctx context.Context, m *Module, instrumented []byte) {
	entry, err := n.fill(ctx, m.config, instrumented)
	if err == nil {
		err = n.rename(entry.dir)
	}
	if err != nil {
		slog.Warn("compiled WebAssembly code cannot be kept", "folder", n.root, "error", err)
	}
	n.discard()
}

// rename makes a folder the entry, unless another process was first.
func (n *newEntry) rename(dir string) error {
	if err := os.Rename(dir, n.dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// discard removes the folder.
func (n *newEntry) discard() {
	if err := os.RemoveAll(n.folder); err != nil {
		slog.Warn("an unfinished folder in the cache of compiled WebAssembly code cannot be removed", "folder", n.folder, "error", err)
	}
}

// fill makes an entry in the folder.
func (n *newEntry) fill(ctx context.Context, config Config, instrumented []byte) (*cacheEntry, error) {
	entry := &cacheEntry{n.root, filepath.Join(n.folder, "entry")}
	outline, err := outlineOf(instrumented)
	if err != nil {
		return nil, err
	}
	// Compiling the outline shows the name of its file.
	m := &Module{config: config}
	if m.cache, err = wazero.NewCompilationCacheWithDir(entry.dir); err != nil {
		return nil, err
	}
	if err = m.startCompiler(ctx); err == nil {
		_, err = m.runtime.CompileModule(ctx, outline)
	}
	if err := errors.Join(err, m.freeEngine()); err != nil {
		return nil, err
	}
	whole, err := (&cacheEntry{n.root, n.whole()}).files()
	if err != nil {
		return nil, err
	}
	small, err := entry.files()
	if err != nil {
		return nil, err
	}
	if len(whole) != 1 || len(small) != 1 {
		return nil, fmt.Errorf("wazero wrote %d and %d files, where one each was expected", len(whole), len(small))
	}
	for from := range whole {
		for to := range small {
			if err := os.Rename(from, to); err != nil {
				return nil, err
			}
		}
	}
	return entry, entry.seal(outline)
}

// seal adds the outline and the checksums to the machine code.
func (e *cacheEntry) seal(outline []byte) error {
	if err := os.WriteFile(filepath.Join(e.dir, outlineFile), outline, 0o600); err != nil {
		return err
	}
	files, err := e.files()
	if err != nil {
		return err
	}
	sums, err := files.sums()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(e.dir, sumsFile), []byte(sums), 0o600)
}

// outlineOf returns a module with function bodies that only trap.
func outlineOf(module []byte) ([]byte, error) {
	sections, err := split(module)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(module[:8])
	for _, s := range sections {
		if s.id == wasmfile.Code {
			r := newReader(s.data)
			n := r.U32()
			s.data = appendU32(nil, n)
			for range n {
				s.data = append(s.data, 3, 0, 0, opEnd) // 3 bytes: no locals; unreachable; end
			}
		}
		out = appendBytes(append(out, s.id), s.data)
	}
	return out, nil
}
