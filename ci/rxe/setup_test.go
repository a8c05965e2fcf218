package rxe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		arguments, variables []string
		status               int
		stdout, stderr       string
	}{
		{arguments: []string{"--help"}, stdout: "Usage: ci/rxe/run PROGRAM"},
		{status: 125, stderr: "Usage: ci/rxe/run PROGRAM"},
		{arguments: []string{"--what"}, status: 125, stderr: "no such option: --what"},
		{arguments: []string{"true"}, variables: []string{"RXE_WAY=both"}, status: 125, stderr: "RXE_WAY=both: must be auto, direct or guest"},
		{arguments: []string{"true"}, variables: []string{"RXE_TIMEOUT=1h"}, status: 125, stderr: "RXE_TIMEOUT=1h: must be a number of seconds"},
		{arguments: []string{"true"}, variables: []string{"RXE_BOOT_TIMEOUT=0"}, status: 125, stderr: "RXE_BOOT_TIMEOUT=0: must be a number of seconds"},
		{arguments: []string{"true"}, variables: []string{"RXE_DEVICES=3"}, status: 125, stderr: "RXE_DEVICES=3: must be 1 or 2"},
		{arguments: []string{"--way"}, variables: []string{"RXE_WAY=direct"}, stdout: "direct\n"},
		{arguments: []string{"--guest-folder"}, variables: []string{"RXE_CACHE=/a folder"}, stdout: "/a folder/"},
		{arguments: []string{"--guest-folder"}, variables: []string{"RXE_CACHE=", "XDG_CACHE_HOME=/x"}, stdout: "/x/rxe-guest/"},
		{arguments: []string{"--guest-folder"}, variables: []string{"RXE_CACHE=", "XDG_CACHE_HOME=", "HOME=/h"}, stdout: "/h/.cache/rxe-guest/"},
	} {
		s := prepare(t, c.variables, c.arguments...)
		require.Equal(t, c.status, s.status(), "%v %v: %s", c.variables, c.arguments, &s.stderr)
		require.True(t, strings.HasPrefix(s.stdout.String(), c.stdout), "%v %v prints %s", c.variables, c.arguments, &s.stdout)
		require.Contains(t, s.stderr.String(), c.stderr)
		require.Equal(t, c.stdout == "", s.stdout.Len() == 0)
		require.Equal(t, c.stderr == "", s.stderr.Len() == 0, &s.stderr)
	}
}

// toolsWithout is a folder with the machine's programs except some.
func toolsWithout(t *testing.T, tools ...string) string {
	t.Helper()
	folder := t.TempDir()
	for _, from := range []string{"/usr/bin", "/bin"} {
		entries, err := os.ReadDir(from)
		require.NoError(t, err)
		for _, entry := range entries {
			os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(folder, entry.Name())) // fails for a second one of a name
		}
	}
	for _, tool := range tools {
		if err := os.Remove(filepath.Join(folder, tool)); !os.IsNotExist(err) {
			require.NoError(t, err)
		}
	}
	return folder
}

func TestMissingTools(t *testing.T) {
	t.Parallel()
	needAmd64Debian(t)
	s := prepare(t, []string{"RXE_WAY=guest", "CI=", "PATH=" + toolsWithout(t, "qemu-system-x86_64", "flock")}, "true")
	require.Equal(t, 125, s.status())
	require.Regexp(t, `missing packages: sudo apt-get install .*\bqemu-system-x86\b`, s.stderr.String())
	require.Regexp(t, `missing packages: .*\butil-linux\b`, s.stderr.String())
	require.NotRegexp(t, `missing packages: .*\bkmod\b`, s.stderr.String(), "modprobe exists")

	s = prepare(t, []string{"RXE_WAY=guest", "CI=", "PATH=" + toolsWithout(t, "qemu-system-x86_64", "apt-get")}, "true")
	require.Equal(t, 125, s.status())
	require.Contains(t, s.stderr.String(), "missing here, by Debian's names of the packages: qemu-system-x86")
}

// If allowed, missing packages are installed, from new lists.
func TestInstall(t *testing.T) {
	t.Parallel()
	needAmd64Debian(t)
	tools := toolsWithout(t, "qemu-system-x86_64", "apt-get", "sudo")
	log := filepath.Join(t.TempDir(), "log")
	fake(t, tools, "sudo", `[ "$1" != -n ] || shift; exec "$@"`)
	fake(t, tools, "apt-get", `echo "$@" >> '`+log+`'; case "$*" in *install*) echo 'no space left'; exit 100;; esac`)
	for _, leave := range [][]string{{"RXE_INSTALL=1", "CI="}, {"CI=true"}} {
		os.Remove(log)
		s := prepare(t, append(leave, "RXE_WAY=guest", "PATH="+tools), "true")
		require.Equal(t, 125, s.status())
		require.Contains(t, s.stderr.String(), "could not install qemu-system-x86")
		require.Contains(t, s.stderr.String(), "no space left", "what apt-get said")
		content, err := os.ReadFile(log)
		require.NoError(t, err)
		require.Regexp(t, `^update.*\n.*install .*--no-install-recommends qemu-system-x86\n$`, string(content))
	}
}

func fake(t *testing.T, folder, tool, script string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(folder, tool), []byte("#!/bin/sh\n"+script+"\n"), 0o755))
}

func needAmd64Debian(t *testing.T) {
	t.Helper()
	if exec.Command("sh", "-c", `[ "$(uname -m)" = x86_64 ] && command -v apt-get`).Run() != nil {
		lacking(t, "an x86-64 machine with apt-get")
	}
}

// A guest is made once, even if two runs need it, and verified before each use.
func TestCache(t *testing.T) {
	startsGuest(t)
	needAmd64Debian(t)
	cache := t.TempDir()
	variables := []string{"RXE_WAY=guest", "RXE_CACHE=" + cache}
	s := prepare(t, variables, "--guest-folder")
	require.Equal(t, 0, s.status())
	guest := strings.TrimSpace(s.stdout.String())
	// A damaged guest, and one whose making was interrupted, exist already.
	for _, folder := range []string{guest, guest + ".making.1"} {
		require.NoError(t, os.Mkdir(folder, 0o755))
		require.NoError(t, os.WriteFile(folder+"/kernel", []byte("half"), 0o644))
	}
	require.NoError(t, os.WriteFile(guest+"/SHA256SUMS", []byte(strings.Repeat("0", 64)+"  ./kernel\n"), 0o644))

	// As on a machine with missing or old lists of packages.
	lists := filepath.Join(t.TempDir(), "apt.conf")
	require.NoError(t, os.WriteFile(lists, []byte(`Dir::State::Lists "`+t.TempDir()+`";`), 0o644))
	making := append(variables, "APT_CONFIG="+lists)
	first, second := prepare(t, making, "--setup"), prepare(t, making, "--setup")
	require.NoError(t, first.Start())
	require.NoError(t, second.Start())
	if first.status() != 0 && regexp.MustCompile("Temporary failure resolving|Could not (resolve|connect)|Unable to connect|Unable to locate").Match(first.stderr.Bytes()) {
		second.status()
		lacking(t, "the distribution's packages: "+first.stderr.String())
	}
	require.Equal(t, 0, first.ProcessState.ExitCode(), &first.stderr)
	require.Equal(t, 0, second.status(), &second.stderr)
	require.Equal(t, 1, strings.Count(first.stderr.String()+second.stderr.String(), "making the guest"))
	require.NoDirExists(t, guest+".making.1")

	// Another run uses it, without any package tool.
	variables = append(variables, "PATH="+toolsWithout(t, "apt-get", "apt-cache"))
	again := prepare(t, variables, "--setup")
	require.Equal(t, 0, again.status(), &again.stderr)
	// With one wrong byte it is not used.
	for _, path := range []string{"initramfs", "modules/*/modules.dep", "modules/*/kernel/net/sched/sch_netem.ko*"} {
		files, err := filepath.Glob(filepath.Join(guest, path))
		require.NoError(t, err)
		require.Len(t, files, 1)
		whole, err := os.ReadFile(files[0])
		require.NoError(t, err)
		damaged := append([]byte(nil), whole...)
		damaged[len(damaged)/2] ^= 1
		require.NoError(t, os.WriteFile(files[0], damaged, 0o644))
		s := prepare(t, variables, "true")
		require.Equal(t, 125, s.status())
		require.Contains(t, s.stderr.String(), "no guest in "+guest)
		require.NoError(t, os.WriteFile(files[0], whole, 0o644))
	}
	require.Equal(t, 0, prepare(t, variables, "--setup").status())
}
