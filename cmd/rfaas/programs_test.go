package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// script writes a script that can be executed.
func script(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
}

// TestPrograms: scripts are functions, isolated and not: input and result, arguments, what
// fails, and what they cannot do.
func TestPrograms(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	script(t, dir, "upper.sh", "#!/bin/sh\ntr a-z A-Z\n")
	for _, trust := range [][]string{nil, {"--trust-code"}} {
		require.Equal(t, "HELLO", succeed(t, dir, append([]string{"invoke", "upper.sh", "--data", "hello"}, trust...)...))
	}
	succeed(t, dir, "pack", "upper.sh")
	require.Equal(t, "HELLO", succeed(t, dir, "invoke", "upper.rfaas", "--data", "hello"), "packed")
	write(t, dir, "a.csv", "one")
	write(t, dir, "b.csv", "two")
	require.Equal(t, "ONETWO", succeed(t, dir, "run", "-f", "./upper.sh", "a.csv", "b.csv"))

	script(t, dir, "count.sh", `#!/bin/sh
[ $# = 2 ] || { echo "usage: count WHAT FILE" >&2; exit 3; }
echo "looking at a file" >&2
wc "$1" < "$2" | tr -d ' \n'
`)
	require.Equal(t, "5", succeed(t, dir, "invoke", "count.sh", "--argument", "-c", "--argument", "{}", "--data", "12345"))
	stderr := fails(t, dir, "invoke", "count.sh", "--data", "12345")
	require.Contains(t, stderr, "rfaas invoke: count: usage: count WHAT FILE\n", "the message is what it said")
	require.Contains(t, stderr, "! usage: count WHAT FILE\n", "and it is shown, too")
	refuses(t, dir, []string{"invoke"}, map[string][]string{
		"--argument: echo comes with the program": {"echo", "--argument", "x"},
	})

	// A program of the folder that it is in, with libraries and data beside it.
	script(t, dir, "folder/main.sh", "#!/bin/sh\n. ./functions.sh\nanswer \"$(cat data)\"\n")
	write(t, filepath.Join(dir, "folder"), "functions.sh", `answer() { printf '%s in %s' "$1" "$PWD"; }`)
	write(t, filepath.Join(dir, "folder"), "data", "data")
	write(t, filepath.Join(dir, "folder"), "manifest.json", `{"module": "main.sh"}`)
	require.Equal(t, "data in /package", succeed(t, dir, "invoke", "folder"))

	// What it starts is isolated as it is.
	script(t, dir, "attempts.sh", `#!/bin/sh
[ -e /etc/shadow ] && echo "sees the machine's files"
[ -e `+dir+` ] && echo "sees the user's files"
(echo x > /package/x) 2>/dev/null && echo "writes to its package"
(echo x > /usr/x) 2>/dev/null && echo "writes to the system"
bash -c 'echo x > /dev/tcp/127.0.0.1/9' 2>&1 | grep -qi 'not permitted' || echo "makes connections"
kill -9 1 2>/dev/null; kill -0 1 2>/dev/null || echo "ended its executor"
echo x > /tmp/x && echo x > /dev/shm/x && cat /tmp/x /dev/shm/x
cat /proc/1/environ /proc/1/maps > /dev/null 2>&1 && echo "reads its executor's memory"
true
`)
	require.Equal(t, "x\nx\n", succeed(t, dir, "invoke", "attempts.sh"))
}

// TestInterpreters: of an installation of the user's, and of a virtual environment, which has
// a link to it.
func TestInterpreters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // executors of root have users of their own
	shell, err := filepath.EvalSymlinks("/bin/sh")
	require.NoError(t, err)
	text, err := os.ReadFile(shell)
	require.NoError(t, err)
	script(t, dir, "base/bin/myshell", string(text))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "venv/bin"), 0o755))
	require.NoError(t, os.Symlink(filepath.Join(dir, "base/bin/myshell"), filepath.Join(dir, "venv/bin/myshell")))
	base, venv := filepath.Join(dir, "base"), filepath.Join(dir, "venv")
	script(t, dir, "named", "#!"+venv+"/bin/myshell\nprintf works\n")
	script(t, dir, "searched", "#!/usr/bin/env myshell\nprintf works\n")
	refuses(t, dir, []string{"invoke"}, map[string][]string{
		"is where isolated functions do not see it; let it read the installation with --read " + venv + " --read " + base + "\n": {"named"},
		"is where isolated functions do not see it; let it read the installation with --read " + base + "\n":                     {"named", "--read", venv},
	})
	require.Equal(t, "works", succeed(t, dir, "invoke", "named", "--read", base, "--read", venv))
	require.Equal(t, "works", succeed(t, dir, "invoke", "named", "--trust-code"))

	path := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "PATH="+venv+"/bin:"+os.Getenv("PATH")) }
	s := startWith(t, dir, path, "invoke", "searched")
	require.Equal(t, exitFailed, s.wait())
	require.Contains(t, s.stderr.String(), "myshell is "+venv+"/bin/myshell in your PATH; isolated functions have the system's; for yours, add --env PATH --read "+venv+" --read "+base)
	s = startWith(t, dir, path, "invoke", "searched", "--env", "PATH", "--read", base, "--read", venv)
	require.Equal(t, exitOK, s.wait(), s.stderr.String())
	require.Equal(t, "works", s.stdout.String())
	require.Empty(t, s.stderr.String())
}

// TestProgramIsEnded: of a program that takes too long, or that nobody waits for, nothing
// remains; run and start look for that.
func TestProgramIsEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script(t, dir, "forever.sh", "#!/bin/sh\n(setsid sleep 1000) &\necho begun >&2\nsleep 1000 | sleep 1000\n")
	require.Contains(t, fails(t, dir, "invoke", "forever.sh", "--time-limit", "200ms"), "--time-limit")
	require.Contains(t, fails(t, dir, "invoke", "forever.sh", "--timeout", "200ms"), "200ms")

	// What calls leave behind is gone before the next one: together it would be more than
	// the limit of processes.
	script(t, dir, "leaves.sh", "#!/bin/sh\nsleep 1000 &\n(sleep 1000 &)\nsetsid sleep 1000 &\necho done\n")
	calls := fmt.Sprint(confine.DefaultPolicy().Tasks)
	status, stdout, stderr := run(t, dir, "invoke", "leaves.sh", "--repeat", calls)
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "done\n", stdout)
	require.Regexp(t, "^"+calls+" calls: .*\n$", stderr)
}

// TestWarmProgram: a script in Python that is started once, as a package.
func TestWarmProgram(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("/usr/bin/python3"); err != nil {
		require.Empty(t, os.Getenv("CI"), "python3 is missing")
		t.Skip("python3 is missing")
	}
	dir := t.TempDir()
	module, err := os.ReadFile("../../examples/python/rfaas.py")
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o755))
	write(t, filepath.Join(dir, "folder"), "rfaas.py", string(module))
	script(t, dir, "folder/serve.py", `#!/usr/bin/env python3
import rfaas
calls = 0
def serve(data):
    global calls
    calls += 1
    print("call", calls)
    if data == b"fail":
        raise ValueError("no such thing")
    return "%s %d" % (data.decode(), calls)
rfaas.serve(serve)
`)
	write(t, filepath.Join(dir, "folder"), "manifest.json", `{"module": "serve.py", "warm": true}`)
	status, stdout, stderr := run(t, dir, "invoke", "folder", "--data", "x", "--repeat", "3")
	require.Equal(t, exitOK, status, stderr)
	require.Equal(t, "x 3", stdout, "the program serves all calls")
	require.Contains(t, stderr, "! call 3\n", "what it prints is no answer")
	require.Contains(t, fails(t, dir, "invoke", "folder", "--data", "fail"), "ValueError: no such thing")
}

// TestProgramOfTenant: a node runs a tenant's program where isolation is complete, and says
// why it does not elsewhere.
func TestProgramOfTenant(t *testing.T) {
	t.Parallel()
	c, dir := newCluster(t), t.TempDir()
	script(t, dir, "where.sh", "#!/bin/sh\nprintf '%s %s' \"$PWD\" \"$OMP_NUM_THREADS\"\n")
	c.agent("node", "--cores", "2")
	if os.Getuid() == 0 {
		require.Equal(t, "/package 2", succeed(t, dir, "invoke", "--manager", c.url, "--threads", "2", "where.sh"))
	} else {
		require.Contains(t, fails(t, dir, "invoke", "--manager", c.url, "where.sh"), "isolation")
	}
	c.end()
}
