package pack

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// readAll reads an archive to its end.
func readAll(data io.Reader) (Digest, map[string]string, error) {
	r, err := newReader(data, maxArchiveBytes)
	if err != nil {
		return Digest{}, nil, err
	}
	files := map[string]string{}
	if err := r.each(func(name string, _ int64) error {
		content, err := io.ReadAll(r)
		files[name] = string(content)
		return err
	}); err != nil {
		return Digest{}, nil, err
	}
	return r.digest(), files, nil
}

// golden is the digest that the first version gave.
const golden = "sha256:4ec84cf280876b2dfc3bca3f953f2fdf37f80d86b5ca07abd9a3dbabdfbfca76"

// The digest of a package must never change: nodes know packages by it.
func TestDigestIsForever(t *testing.T) {
	t.Parallel()
	p := build(t, folder(t))
	require.Equal(t, "some_folder", p.Manifest().Name)
	require.Equal(t, golden, p.Digest().String())
	require.Equal(t, Digest(sha256.Sum256(archive(t, p))), p.Digest())
	require.Equal(t, archive(t, p), archive(t, build(t, folder(t))))
}

// The standard library reads the archive, and writes the same one.
func TestArchiveIsTar(t *testing.T) {
	t.Parallel()
	p := build(t, folder(t))
	ours := archive(t, p)
	var theirs bytes.Buffer
	w := tar.NewWriter(&theirs)
	var names []string
	for r := tar.NewReader(bytes.NewReader(ours)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		names = append(names, h.Name)
		require.Equal(t, byte(tar.TypeReg), h.Typeflag)
		require.NoError(t, w.WriteHeader(&tar.Header{Name: h.Name, Size: h.Size, Mode: 0o444, Format: tar.FormatUSTAR}))
		_, err = io.Copy(w, r)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.Equal(t, []string{"manifest.json", "code.wasm", "data-b", "data/a", "empty"}, names)
	require.Equal(t, theirs.Bytes(), ours)
}

func TestReader(t *testing.T) {
	t.Parallel()
	p := build(t, folder(t))
	data := archive(t, p)
	for _, r := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data)), iotest.DataErrReader(bytes.NewReader(data))} {
		digest, files, err := readAll(r)
		require.NoError(t, err)
		require.Equal(t, p.Digest(), digest)
		require.Len(t, files, 4)
		require.Equal(t, string(bytes.Repeat([]byte("b"), blockBytes+1)), files["data-b"])
		require.Contains(t, files, "empty")
	}
}

// Content and digest determine each other: an archive that differs in a bit outside of the
// content is not valid.
func TestEveryBitCounts(t *testing.T) {
	t.Parallel()
	data := archive(t, build(t, folder(t)))
	_, want, err := readAll(bytes.NewReader(data))
	require.NoError(t, err)
	for i := range data {
		changed := slices.Clone(data)
		changed[i] ^= 1
		digest, files, err := readAll(bytes.NewReader(changed))
		if err == nil { // content, of the manifest or a file
			require.Equal(t, Digest(sha256.Sum256(changed)), digest)
			r, err := newReader(bytes.NewReader(changed), maxArchiveBytes)
			require.NoError(t, err)
			original, err := newReader(bytes.NewReader(data), maxArchiveBytes)
			require.NoError(t, err)
			require.False(t, string(r.manifest.JSON()) == string(original.manifest.JSON()) && maps.Equal(files, want), "byte %d does not matter", i)
		}
	}
	for n := range data {
		_, _, err := readAll(bytes.NewReader(data[:n]))
		require.Error(t, err, "cut off at %d", n)
		if n > 0 {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "cut off at %d", n)
		}
	}
	_, _, err = readAll(bytes.NewReader(append(slices.Clone(data), 0)))
	require.ErrorContains(t, err, "data follows the end")
	_, _, err = readAll(bytes.NewReader(append(slices.Clone(data), make([]byte, 10*blockBytes)...)))
	require.ErrorContains(t, err, "data follows the end")
}

// entry is a file of an archive made for a test.
type entry struct {
	header  *block
	content string
}

func regular(name, content string) entry { return entry{header(name, int64(len(content))), content} }

func assemble(entries ...entry) []byte {
	var b bytes.Buffer
	for _, e := range entries {
		b.Write(e.header[:])
		b.WriteString(e.content)
		b.Write(zeros[:padding(int64(len(e.content)))])
	}
	b.Write(make([]byte, endBytes))
	return b.Bytes()
}

// changed is a header that differs in a field, with the right checksum.
func changed(h *tar.Header) entry {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(h); err != nil {
		panic(err)
	}
	return entry{(*block)(b.Bytes()[:blockBytes]), ""}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	p := build(t, folder(t))
	manifest := p.Manifest()
	first := regular(manifestFile, string(manifest.JSON()))
	code := regular("code.wasm", "x")
	many := []entry{first, regular("a", ""), regular("b", "")}
	_, _, err := readAll(bytes.NewReader(assemble(first, code)))
	require.NoError(t, err)
	for want, data := range map[string][]byte{
		"does not begin with manifest":       make([]byte, endBytes),
		"is cut off":                         {},
		"this is not a package":              []byte("text"),
		"no header of a file":                append([]byte(manifestFile), make([]byte, 2048)...),
		"it does not begin with":             assemble(code, first),
		`"manifest.json" appears twice`:      assemble(first, code, first),
		`"code.wasm" appears twice`:          assemble(first, code, code),
		`"a" follows "code.wasm"`:            assemble(first, code, regular("a", "")),
		`"a" is a file and a folder`:         assemble(first, regular("a", ""), regular("a-b", ""), regular("a/b", "")),
		`"a/b" is a file and a folder`:       assemble(first, regular("a/b", ""), regular("a/b/c", ""), code),
		`the module "code.wasm"`:             assemble(many...),
		`"../x": no part of it`:              assemble(first, regular("../x", "")),
		`"a/../../x": no part of it`:         assemble(first, regular("a/../../x", "")),
		`".hidden": no part of it`:           assemble(first, regular(".hidden", "")),
		`"/etc/passwd": must be relative`:    assemble(first, regular("/etc/passwd", "")),
		`"a//b": must be relative`:           assemble(first, regular("a//b", "")),
		`"a/": must be relative`:             assemble(first, regular("a/", "")),
		`must be printable ASCII`:            assemble(first, regular("a\\b", "")),
		`must be printable`:                  assemble(first, regular("a\nb", "")),
		`must be 1 to 100 bytes`:             assemble(first, regular("", "")),
		`is a symbolic link`:                 assemble(first, changed(&tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})),
		`is a hard link`:                     assemble(first, changed(&tar.Header{Name: "a", Typeflag: tar.TypeLink, Linkname: "b"})),
		`is a device`:                        assemble(first, changed(&tar.Header{Name: "a", Typeflag: tar.TypeChar})),
		`is a folder`:                        assemble(first, changed(&tar.Header{Name: "a/", Typeflag: tar.TypeDir})),
		`is a named pipe`:                    assemble(first, changed(&tar.Header{Name: "a", Typeflag: tar.TypeFifo})),
		`is an extended header`:              assemble(first, changed(&tar.Header{Name: "é", Typeflag: tar.TypeReg, Format: tar.FormatPAX})),
		`the header of "a" is not canonical`: assemble(first, changed(&tar.Header{Name: "a", Mode: 0o755})),
		`the header of "b" is not canonical`: assemble(first, changed(&tar.Header{Name: "b", Mode: 0o444, Uid: 1})),
		"not in canonical form":              assemble(regular(manifestFile, " "+string(manifest.JSON())), code),
		`"huge" has 8589934591 bytes`:        assemble(first, entry{header("huge", 8<<30-1), ""}),
		"manifest.json has 4194305 bytes:":   assemble(entry{header(manifestFile, maxManifestBytes+1), ""}),
		"more than 4096 files":               assemble(append([]entry{first}, tooMany()...)...),
	} {
		_, _, err := readAll(bytes.NewReader(data))
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "pack: ")
	}
}

func tooMany() (entries []entry) {
	for i := range maxFiles {
		entries = append(entries, regular(string([]byte{'a' + byte(i>>8), 'a' + byte(i>>4&15), 'a' + byte(i&15)}), ""))
	}
	return entries
}

// A large package is streamed, and not held in memory. Not parallel: it measures the
// allocations of the process.
func TestLargePackageIsStreamed(t *testing.T) {
	if testing.Short() {
		t.Skip("reads much")
	}
	const size = 256 << 20
	dir := folder(t)
	require.NoError(t, os.Truncate(write(t, dir, "large", nil), size))
	cache, err := OpenCache(t.TempDir(), CacheConfig{MaxBytes: 1}) // refuses it late
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	p := build(t, dir)
	var n counter
	n.to = io.Discard
	_, err = p.WriteTo(&n)
	require.NoError(t, err)
	require.Greater(t, n.n, int64(size))
	_, err = cache.PutPackage(p)
	require.ErrorContains(t, err, "larger than 1 bytes")
	r, w := io.Pipe()
	go func() {
		_, err := p.WriteTo(w)
		w.CloseWithError(err)
	}()
	reader, err := newReader(r, maxArchiveBytes)
	require.NoError(t, err)
	require.NoError(t, reader.each(func(string, int64) error { return nil }))
	require.Equal(t, p.Digest(), reader.digest())
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
}

// WriteTo fails if a file has changed.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{"same length": string(bytes.Repeat([]byte("c"), blockBytes)), "shorter": "c", "longer": string(bytes.Repeat([]byte("a"), blockBytes+1))} {
		dir := folder(t)
		p := build(t, dir)
		write(t, dir, "data/a", []byte(content))
		_, err := p.WriteTo(io.Discard)
		require.ErrorIs(t, err, errChanged, name)
	}
	dir := folder(t)
	p := build(t, dir)
	require.NoError(t, os.Remove(filepath.Join(dir, "data", "a")))
	_, err := p.WriteTo(io.Discard)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func FuzzReader(f *testing.F) {
	m := Manifest{Name: "x", Runtime: "wasm", Module: "m", Functions: []Function{{Name: "f"}}}
	m.fillIn()
	first := regular(manifestFile, string(m.JSON()))
	f.Add(assemble(first, regular("m", "code")))
	f.Add(assemble(first, regular("a/b", ""), regular("m", "")))
	f.Add(assemble(first, changed(&tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "b"})))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		digest, files, err := readAll(bytes.NewReader(data))
		if err != nil {
			return
		}
		require.Equal(t, Digest(sha256.Sum256(data)), digest)
		r, err := newReader(bytes.NewReader(data), maxArchiveBytes)
		require.NoError(t, err)
		entries := []entry{regular(manifestFile, string(r.manifest.JSON()))}
		var names []string
		for name := range files {
			require.True(t, filepath.IsLocal(name))
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			entries = append(entries, regular(name, files[name]))
		}
		require.Equal(t, data, assemble(entries...)) // the only archive of this content
	})
}
