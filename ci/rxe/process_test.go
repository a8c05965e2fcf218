package rxe_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// longest bounds how long a run may take.
const longest = 10 * time.Minute

// lacking skips the test because something is missing, or fails it in CI.
func lacking(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs %s, and has to run in CI", what)
	}
	t.Skipf("needs %s", what)
}

func needTools(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			lacking(t, tool)
		}
	}
}

// makeGuest makes the guest once for all tests. It returns what is missing for it, or "".
var makeGuest = sync.OnceValue(func() string {
	if runtime.GOARCH != "amd64" {
		return "an x86-64 machine"
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil && os.Getenv("CI") == "" {
		return "qemu-system-x86_64 (Debian package qemu-system-x86)"
	}
	command := exec.Command("./run", "--guest-folder")
	command.Env = environment()
	folder, err := command.Output()
	if err != nil {
		return fmt.Sprintf("a guest (run --guest-folder: %v)", err)
	}
	if _, err := os.Stat(strings.TrimSpace(string(folder))); err != nil && os.Getenv("CI") == "" {
		return "a guest; `ci/rxe/run --setup` makes it"
	}
	command = exec.Command("./run", "--setup")
	command.Env = environment("RXE_WAY=guest")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Sprintf("a guest, and `ci/rxe/run --setup` fails: %v\n%s", err, output)
	}
	return ""
})

func needGuest(t *testing.T) {
	t.Helper()
	if os.Getenv("RXE_GUEST") != "" {
		t.Skip("this is a guest already")
	}
	if testing.Short() {
		t.Skip("starts a machine")
	}
	if missing := makeGuest(); missing != "" {
		lacking(t, missing)
	}
}

// environment is this process's, without the script's variables, and with more.
func environment(more ...string) []string {
	var env []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "RXE_") || strings.HasPrefix(variable, "RXE_CACHE=") {
			env = append(env, variable)
		}
	}
	return append(env, more...)
}

// script is a run of ci/rxe/run.
type script struct {
	*exec.Cmd
	t              *testing.T
	stdout, stderr bytes.Buffer
}

// prepare prepares a run of ci/rxe/run with these variables and arguments.
func prepare(t *testing.T, variables []string, arguments ...string) *script {
	t.Helper()
	path, err := filepath.Abs("run")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	t.Cleanup(cancel)
	s := &script{Cmd: exec.CommandContext(ctx, path, arguments...), t: t}
	s.Stdout, s.Stderr, s.Env = &s.stdout, &s.stderr, environment(variables...)
	return s
}

// status runs the script to its end, and returns its exit status.
func (s *script) status() int {
	s.t.Helper()
	if s.Process == nil {
		require.NoError(s.t, s.Start())
	}
	err := s.Wait()
	if s.ProcessState == nil {
		require.NoError(s.t, err)
	}
	return s.ProcessState.ExitCode()
}

// startAndAwait starts the script and returns once its output has this line. The rest of the
// output is dropped.
func (s *script) startAndAwait(line string) {
	s.t.Helper()
	s.Stdout = nil
	pipe, err := s.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, s.Start())
	s.t.Cleanup(func() {
		s.Process.Signal(syscall.SIGTERM)
		s.Wait()
	})
	lines := bufio.NewScanner(pipe)
	for lines.Scan() {
		if lines.Text() == line {
			go io.Copy(io.Discard, pipe)
			return
		}
	}
	s.Wait()
	require.Failf(s.t, "ended early", "its output has no line %q: %v\n%s", line, s.ProcessState, &s.stderr)
}

// children lists the children of a process, by name.
func children(t *testing.T, process int) map[string]int {
	t.Helper()
	found := map[string]int{}
	list, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", process, process))
	require.NoError(t, err)
	for _, field := range strings.Fields(string(list)) {
		id, err := strconv.Atoi(field)
		require.NoError(t, err)
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", id))
		if err == nil {
			found[strings.TrimSpace(string(name))] = id
		}
	}
	return found
}

// alive reports whether a process exists and is not a zombie.
func alive(process int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", process))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// eventually waits for another process, long enough for a busy machine.
func eventually(t *testing.T, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, 2*time.Minute, 20*time.Millisecond, what)
}

func isEmpty(t *testing.T, folder string) bool {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	return len(entries) == 0
}
