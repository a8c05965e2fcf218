package main

import (
	"bytes"
	"image/jpeg"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRunMakesPhotographs(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "photos")
	var stdout, stderr bytes.Buffer

	status := run([]string{"-n", "3", "-width", "60", "-height", "40", "-seed", "9", "-o", dir}, &stdout, &stderr)

	require.Equal(t, exitOK, status, "stderr: %s", &stderr)
	require.Empty(t, stderr.String())
	require.Regexp(t, `^3 photographs, 0\.0 MB, in .*photos \(\d+\.\d s\)\n$`, stdout.String())
	file, err := os.Open(filepath.Join(dir, "photo-0003.jpg"))
	require.NoError(t, err)
	defer file.Close()
	_, err = jpeg.Decode(file)
	require.NoError(t, err)
}

func TestRunExplainsWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		args   []string
		status int
		stderr string
	}{
		"help":            {[]string{"-help"}, exitOK, "Example: generate -n 300"},
		"unknown flag":    {[]string{"-frobnicate"}, exitUsage, "not defined: -frobnicate"},
		"bad number":      {[]string{"-n", "many"}, exitUsage, `invalid value "many"`},
		"stray argument":  {[]string{"photos"}, exitUsage, `unexpected argument "photos"`},
		"empty directory": {[]string{"-o", ""}, exitUsage, "-o is empty"},
		"no photographs":  {[]string{"-n", "0", "-o", dir}, exitFailed, "want 1 to 9999"},
		"impossible size": {[]string{"-width", "0", "-o", dir}, exitFailed, "0x2000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			status := run(c.args, &stdout, &stderr)
			require.Equal(t, c.status, status)
			require.Contains(t, stderr.String(), c.stderr)
			require.Empty(t, stdout.String())
		})
	}
}

// lines takes what is written, a line a time.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// What takes long says how far it has come.
func TestTell(t *testing.T) {
	t.Parallel()
	var finished atomic.Int64
	finished.Store(2)
	told := make(lines)
	stop := tell(told, &finished, 9, time.Now(), time.Millisecond)
	require.Regexp(t, `^generate: 2 of 9 photographs after \d+s\n$`, <-told)
	go func() {
		for range told {
		}
	}()
	stop()
	close(told)
}
