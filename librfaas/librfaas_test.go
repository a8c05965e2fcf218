//go:build cgo

package main_test

import (
	"bufio"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

var sanitized = flag.Bool("asan", false, "build the library and the programs in C with AddressSanitizer")

// TestLibrary installs the library as a user does, and runs programs in C and Fortran with it: with
// an agent of this machine, and with a manager over TLS.
func TestLibrary(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"make", "pkg-config", "gcc", "gfortran", "openssl"} {
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

	// start starts a command of rfaas, and returns the first line that it prints.
	start := func(arguments string) string {
		t.Helper()
		cmd := exec.Command("sh", "-ec", "cd $DIR && exec ./rfaas "+arguments)
		cmd.Env, cmd.Stderr = append(os.Environ(), "DIR="+dir), t.Output()
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // also if this test is ended at its time limit
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		t.Cleanup(func() {
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
			cmd.Wait()
		})
		line, err := bufio.NewReader(out).ReadString('\n')
		require.NoError(t, err)
		return strings.TrimSpace(line)
	}
	start("agent --name c --cores 2 --state state --listen unix:agent --partial-isolation")

	require.Equal(t, "all is as rfaas.h says\n", do("$DIR/test $DIR/functions.so"))
	require.True(t, strings.HasSuffix(do("$DIR/lease"), "call 998\ncall 999\n"))
	if !*sanitized { // gfortran's programs have no sanitizer
		do("gfortran -O1 -g -Wall -J $DIR -o $DIR/fortran $DIR/usr/include/rfaas.f90 testdata/test.f90 $(pkg-config --libs rfaas)")
		require.Equal(t, "all is as rfaas.f90 says\n", do("$DIR/fortran $DIR/functions.so"))
	}

	do(`cd $DIR && umask 077
new="openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
$new -subj /CN=cluster -keyout ca.key -out ca.crt
$new -subj /CN=n -CA ca.crt -CAkey ca.key -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1 -keyout n.key -out n.crt
for who in 'node n' 'tenant alice'; do
	openssl rand -hex 32 > ${who#* }.token
	echo "$who $(cat ${who#* }.token)" >> tokens
done`)
	const server = " --tls-cert n.crt --tls-key n.key --tokens tokens --transport softroce://127.0.0.1:0"
	url := strings.TrimPrefix(start("manager --listen 127.0.0.1:0 --state manager"+server), "manager at ")
	start("agent --name n --cores 2 --state n --listen tcp:127.0.0.1:0 --partial-isolation --tls-ca ca.crt --token-file n.token --manager " + url + server)
	env = append(env, "RFAAS_AGENTS=", "RFAAS_MANAGER="+url, "RFAAS_TRANSPORT=softroce://127.0.0.1:0", "RFAAS_TLS_CA="+filepath.Join(dir, "ca.crt"))
	require.Contains(t, do("$DIR/lease 2>&1 || true"), "there is no token")
	env = append(env, "RFAAS_TOKEN_FILE="+filepath.Join(dir, "alice.token"))
	require.True(t, strings.HasSuffix(do("$DIR/lease"), "call 998\ncall 999\n"))
}
