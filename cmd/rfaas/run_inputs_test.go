package main

import (
	"bytes"
	"fmt"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/photos"
)

// Hundreds of photographs, end to end: every result is a picture.
func TestRunThumbnails(t *testing.T) {
	t.Parallel()
	const count = 300
	dir := t.TempDir()
	paths, err := photos.Write(filepath.Join(dir, "photos"), count, 240, 160, 7, nil)
	require.NoError(t, err)

	stdout := succeed(t, dir, append([]string{"run", "-f", "thumbnailer", "-o", "thumbnails"}, paths...)...)
	require.Contains(t, stdout, "thumbnailer: 300 of 300 inputs done, in ")
	require.Len(t, namesIn(t, dir, "thumbnails"), count)
	for _, path := range paths {
		picture, err := jpeg.DecodeConfig(strings.NewReader(read(t, dir, "thumbnails", filepath.Base(path))))
		require.NoError(t, err, path)
		require.LessOrEqual(t, max(picture.Width, picture.Height), 200, path)
		require.Equal(t, 200, max(picture.Width, picture.Height), path)
	}
}

// Bad inputs fail, each with its reason; the good ones between them are done.
func TestRunBadInputs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var photo bytes.Buffer
	require.NoError(t, photos.JPEG(&photo, 300, 200, 1))
	write(t, dir, "good1.jpg", photo.String())
	write(t, dir, "empty.jpg", "")
	write(t, dir, "truncated.jpg", photo.String()[:photo.Len()/2])
	write(t, dir, "text.jpg", "not a picture")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o777))
	write(t, dir, "name\nof two lines.jpg", "")
	write(t, dir, "good2.jpg", photo.String())

	status, stdout, stderr := run(t, dir, "run", "-f", "thumbnailer", "-o", "out", "--workers", "2", "good1.jpg", "empty.jpg",
		"truncated.jpg", "text.jpg", "missing.jpg", "folder", "/proc/self/mem", "name\nof two lines.jpg", "good2.jpg")

	require.Equal(t, exitFailed, status)
	require.Empty(t, stderr)
	require.Contains(t, stdout, "thumbnailer: 2 of 9 inputs done, 7 failed, in ")
	require.Equal(t, []string{"good1.jpg", "good2.jpg"}, namesIn(t, dir, "out"))
	for _, want := range []string{
		"failed:\n",
		"  empty.jpg: the input is empty",
		"  truncated.jpg: the JPEG is truncated",
		"  text.jpg: the input is of an unknown format",
		"  missing.jpg: no such file or directory\n",
		"  folder: is a directory; name the files in it\n",
		"  /proc/self/mem: reading: input/output error\n",
		`  name\nof two lines.jpg: the input is empty`,
	} {
		require.Contains(t, stdout, want)
	}
}

func TestRunUnreadableFile(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root reads everything; other files that cannot be read are tested in TestRunBadInputs")
	}
	dir := t.TempDir()
	write(t, dir, "secret", "x")
	require.NoError(t, os.Chmod(filepath.Join(dir, "secret"), 0))

	status, stdout, _ := run(t, dir, "run", "-f", "echo", "-o", "out", "secret")

	require.Equal(t, exitFailed, status)
	require.Contains(t, stdout, "  secret: permission denied\n")
}

// An input larger than a slot may be fails, and only that one.
func TestRunTooLarge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "fits", strings.Repeat("x", 100<<10))
	write(t, dir, "large", strings.Repeat("x", 100<<10+1))

	status, stdout, _ := run(t, dir, "run", "-f", "echo", "--slot-bytes", "100KiB", "-o", "out", "fits", "large")

	require.Equal(t, exitFailed, status)
	require.Contains(t, stdout, "echo: 1 of 2 inputs done, 1 failed")
	require.Contains(t, stdout, "  large: too large: 102401 bytes, at most 102400 are allowed; allow more with --slot-bytes\n")
	require.Equal(t, []string{"fits"}, namesIn(t, dir, "out"))
	require.Len(t, read(t, dir, "out/fits"), 100<<10)
}

// So does a result that is larger, and says so.
func TestRunResultTooLarge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "fits", strings.Repeat("x", 32<<10))
	write(t, dir, "large", strings.Repeat("x", 60<<10))

	status, stdout, _ := run(t, dir, "run", "-f", "test-double", "-o", "out", "fits", "large")

	require.Equal(t, exitFailed, status)
	require.Regexp(t, `(?m)^  large: too large: .*122880.*--slot-bytes`, stdout)
	require.Len(t, read(t, dir, "out/fits"), 64<<10)
	require.Equal(t, []string{"fits"}, namesIn(t, dir, "out"))
}

// The content of pipes counts, not the size that they say they have.
func TestRunPipe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, size := range []int{0, 70 << 10, 200<<10 + 1} {
		pipe := filepath.Join(dir, fmt.Sprint("pipe", i))
		require.NoError(t, syscall.Mkfifo(pipe, 0o666))
		fed := make(chan error, 1)
		go func() { fed <- os.WriteFile(pipe, bytes.Repeat([]byte("x"), size), 0) }()
		status, stdout, _ := run(t, dir, "run", "-f", "echo", "--slot-bytes", "200KiB", pipe)
		if size > 200<<10 {
			require.Equal(t, exitFailed, status)
			require.Empty(t, stdout)
			<-fed // it may have been cut off
			continue
		}
		require.NoError(t, <-fed)
		require.Equal(t, exitOK, status)
		require.Len(t, stdout, size)
	}
}

// A function that panics fails its input; its worker continues.
func TestRunPanic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()

	status, stdout, stderr := run(t, dir, "run", "-f", "test-panic", "--workers", "1", "-o", "out",
		write(t, dir, "a", ""), write(t, dir, "b", ""))

	require.Equal(t, exitFailed, status)
	require.Contains(t, stdout, "  a: crashed: panic: the function's own, at ")
	require.Contains(t, stdout, "  b: crashed: panic: the function's own, at ")
	require.Regexp(t, `(?m)^       1 +\d+ +(\d+|any) +2 +\d+% +0$`, stdout)
	require.Contains(t, stderr, "level=ERROR", "the worker's log")
	require.Empty(t, namesIn(t, dir, "out"))
}

// A call that takes too long is given up. A function that notices keeps its
// worker; one that does not loses it.
func TestRunTimeout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for function, replaced := range map[string]int{"test-gate": 0, "test-stuck": 1} {
		input := write(t, dir, function, filepath.Join(dir, "never"))
		second := write(t, dir, function+"2", filepath.Join(dir, "never"))

		status, stdout, stderr := run(t, dir, "run", "-f", function, "--timeout", "100ms", "--workers", "1", "-o", "out", input, second)

		require.Equal(t, exitFailed, status, stderr)
		for _, late := range []string{input, second} {
			require.Regexp(t, `(?m)^  `+late+`: not done in time: .*; allow more with --timeout \(100ms\), or `, stdout)
		}
		require.Regexp(t, fmt.Sprintf(`(?m)^       1 +\d+ +(\d+|any) +\d +\d+%% +%d$`, replaced), stdout)
	}
}
