package job

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func plan(t *testing.T, directory, extension string, names ...string) (*Plan, error) {
	t.Helper()
	return NewPlan(PlanConfig{Names: names, Directory: directory, Extension: extension, LimitBytes: 100, Stdin: strings.NewReader("typed")})
}

func file(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
	return path
}

func TestOutputNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ input, extension, want string }{
		{"photo.jpg", ".jpg", "photo.jpg"},
		{"folder/photo.JPEG", ".jpg", "photo.jpg"},
		{"table", ".csv", "table.csv"},
		{"archive.tar.gz", ".csv", "archive.tar.csv"},
		{".hidden", ".csv", ".hidden.csv"},
		{".hidden.txt", ".csv", ".hidden.csv"},
		{"trailing.", ".csv", "trailing.csv"},
		{"folder/file.txt", "", "file.txt"},
		{"-", ".csv", "stdin.csv"},
		{"-", "", "stdin"},
		{"./-", "", "-"},
	} {
		in := &Input{Name: c.input}
		require.Equal(t, c.want, in.base(c.extension), c.input)
	}
}

func TestPlan(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	small, large := file(t, filepath.Join(dir, "small"), "12345"), file(t, filepath.Join(dir, "large"), strings.Repeat("x", 101))
	out := filepath.Join(dir, "new", "out")

	p, err := plan(t, out, ".txt", small, large, filepath.Join(dir, "missing"), Stdin)

	require.NoError(t, err)
	require.DirExists(t, out)
	require.Equal(t, int64(5), p.LargestBytes, "what is not tried does not count")
	require.Len(t, p.Inputs, 4)
	require.NoError(t, p.Inputs[0].err)
	require.Equal(t, filepath.Join(out, "small.txt"), p.Inputs[0].Output)
	require.EqualError(t, p.Inputs[1].err, "too large: 101 bytes, at most 100 are allowed; allow more with --slot-bytes")
	require.EqualError(t, p.Inputs[2].err, "no such file or directory")
	require.NoError(t, p.Inputs[3].err)
	require.Equal(t, "typed", string(p.Inputs[3].read))
}

// A refused plan leaves no directory behind.
func TestPlanRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, b := file(t, filepath.Join(dir, "a.txt"), ""), file(t, filepath.Join(dir, "b", "a.csv"), "")
	out := filepath.Join(dir, "out")

	_, err := plan(t, out, ".jpg", a, b)

	var misuse *MisuseError
	require.ErrorAs(t, err, &misuse)
	require.EqualError(t, err, a+" and "+b+" would both be written to "+filepath.Join(out, "a.jpg")+"; run them one after the other with different directories (-o)")
	require.NoDirExists(t, out)
}

// An input may change after it was looked at.
func TestLoad(t *testing.T) {
	t.Parallel()
	path := file(t, filepath.Join(t.TempDir(), "file"), "12345")
	in := look(path, nil, 100)
	buf := make([]byte, 8)
	for _, content := range []string{"12345", "1234567", "12345678"} {
		file(t, path, content)
		n, err := in.load(buf)
		require.NoError(t, err)
		require.Equal(t, content, string(buf[:n]))
	}
	file(t, path, "123456789")
	_, err := in.load(buf)
	require.EqualError(t, err, "too large: it has grown from 5 to more than 8 bytes since it was looked at; try again")

	require.NoError(t, os.Remove(path))
	_, err = in.load(buf)
	require.EqualError(t, err, "no such file or directory")
}
