//go:build cgo

package main_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var sanitized = flag.Bool("asan", false, "build the library and the programs in C with AddressSanitizer")

// TestLibrary installs the library as a user does, and runs programs in C and Fortran with it and
// an agent of this machine.
func TestLibrary(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"make", "pkg-config", "gcc", "gfortran"} {
		if _, err := exec.LookPath(tool); err != nil {
			require.Empty(t, os.Getenv("CI"), "%s is missing", tool)
			t.Skip(tool + " is missing")
		}
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	lib := filepath.Join(dir, "usr", "lib")
	env := []string{"PKG_CONFIG_PATH=" + filepath.Join(lib, "pkgconfig"), "LD_LIBRARY_PATH=" + lib, "RFAAS_AGENTS=unix:" + filepath.Join(dir, "agent")}
	do := func(command string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", command)
		cmd.Env = append(os.Environ(), env...)
		cmd.Env = append(cmd.Env, "DIR="+dir)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", command, out)
		return string(out)
	}
	goBuild, cc := "go", "gcc -O1 -g -Wall -Wextra -Werror"
	if *sanitized {
		write := filepath.Join(dir, "go")
		require.NoError(t, os.WriteFile(write, []byte("#!/bin/sh\nshift\nexec go build -asan \"$@\"\n"), 0o755))
		goBuild, cc = write, cc+" -fsanitize=address"
	}
	do("make install BUILD=$DIR GO=" + goBuild + " PREFIX=$DIR/usr")
	do("go build -o $DIR/rfaas ../cmd/rfaas")
	do("gcc -O2 -shared -fPIC -o $DIR/functions.so testdata/functions.c")
	do(cc + " -o $DIR/test testdata/test.c $(pkg-config --cflags --libs rfaas)")
	do(cc + " -o $DIR/lease ../examples/c/lease.c $(pkg-config --cflags --libs rfaas)")

	agent := exec.Command(filepath.Join(dir, "rfaas"), "agent", "--name", "c", "--cores", "2", "--state", filepath.Join(dir, "state"), "--listen", "unix:"+filepath.Join(dir, "agent"), "--partial-isolation")
	var said bytes.Buffer
	agent.Stdout, agent.Stderr = &said, &said
	require.NoError(t, agent.Start())
	t.Cleanup(func() {
		require.NoError(t, agent.Process.Signal(os.Interrupt))
		agent.Wait()
		if t.Failed() {
			t.Logf("the agent: %s", &said)
		}
	})
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(dir, "agent")); return err == nil }, time.Minute, 10*time.Millisecond)

	require.Equal(t, "all is as rfaas.h says\n", do("$DIR/test $DIR/functions.so"))
	require.True(t, strings.HasSuffix(do("$DIR/lease"), "call 998\ncall 999\n"))
	if !*sanitized { // gfortran's programs have no sanitizer
		do("gfortran -O1 -g -Wall -J $DIR -o $DIR/fortran $DIR/usr/include/rfaas.f90 testdata/test.f90 $(pkg-config --libs rfaas)")
		require.Equal(t, "all is as rfaas.f90 says\n", do("$DIR/fortran $DIR/functions.so"))
	}
}
