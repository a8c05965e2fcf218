package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Where no files can be made, nothing is started. These are impossible for root,
// too, who is not held back by permissions.
func TestRunFolderNotWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "file", "not a folder")
	write(t, dir, "a.txt", "a")
	for output, want := range map[string]string{
		"file":        "rfaas run: the results cannot be written to file: file: not a directory; choose another directory (-o)\n",
		"file/below":  "rfaas run: the results cannot be written to file/below: file: not a directory; choose another directory (-o)\n",
		"/proc/self":  "rfaas run: the results cannot be written to /proc/self: ",
		"/proc/below": "rfaas run: the results cannot be written to /proc/below: ",
	} {
		status, stdout, stderr := run(t, dir, "run", "-f", "echo", "-o", output, "a.txt")
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, want)
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		require.Empty(t, stdout)
	}
}

func TestRunFolderForbidden(t *testing.T) {
	t.Parallel()
	if os.Geteuid() == 0 {
		t.Skip("root is not held back by permissions; other folders that cannot be written are tested in TestRunFolderNotWritable")
	}
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "out"), 0o555))

	stderr := fails(t, dir, "run", "-f", "echo", "-o", "out", write(t, dir, "a.txt", "a"))
	require.Contains(t, stderr, "rfaas run: the results cannot be written to out: out: permission denied; choose another directory (-o)\n")
}

// When the disk is full what was written before is kept, and the rest is not
// tried.
func TestRunFullDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	disk := smallDisk(t, 64<<10)
	args := []string{"run", "-f", "echo", "--workers", "1", "-o", disk}
	for i := range 10 {
		args = append(args, write(t, dir, fmt.Sprintf("%d.bin", i), strings.Repeat(fmt.Sprint(i), 20<<10)))
	}

	status, stdout, stderr := run(t, dir, args...)

	require.Equal(t, exitFailed, status, stderr)
	kept := namesIn(t, disk)
	require.NotEmpty(t, kept)
	require.Less(t, len(kept), 4)
	for i, name := range kept {
		require.Equal(t, fmt.Sprintf("%d.bin", i), name)
		require.Equal(t, strings.Repeat(fmt.Sprint(i), 20<<10), read(t, disk, name))
	}
	require.Contains(t, stdout, fmt.Sprintf("echo: %d of 10 inputs done, 1 failed, %d not tried, in ", len(kept), 9-len(kept)))
	require.Contains(t, stdout, fmt.Sprintf("  %d.bin: write %s/%d.bin: no space left on device\n", len(kept), disk, len(kept)))
	require.Contains(t, stdout, fmt.Sprintf("not tried: %d inputs, from %d.bin on: results cannot be written: no space left on device\n", 9-len(kept), len(kept)+1))
}

// smallDisk mounts a file system of so many bytes.
func smallDisk(t *testing.T, bytes int) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=0777", bytes))
	if err != nil && os.Getenv("CI") != "true" {
		t.Skipf("a full disk needs a small file system, and mounting one the right to mount (CAP_SYS_ADMIN): %v", err)
	}
	require.NoError(t, err, "mounting a small file system")
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

// The standard output can be full, too.
func TestRunFullStandardOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	args := []string{"run", "-f", "echo", "--workers", "1"}
	for i := range 5 {
		args = append(args, write(t, dir, fmt.Sprint(i), "x"))
	}

	s := startWith(t, dir, func(cmd *exec.Cmd) { cmd.Stdout = full }, args...)

	require.Equal(t, exitFailed, s.wait())
	require.Contains(t, s.stderr.String(), "echo: 0 of 5 inputs done, 1 failed, 4 not tried")
	require.Contains(t, s.stderr.String(), "  0: writing the output: no space left on device\n")
}
