package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/benchmarks"
)

// The tests run the program for real: the test binary again, which this variable
// tells to be it.
const asProgram = "RFAAS_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	benchmarks.RunPeerIfAsked()
	functions = append(functions, testFunctions...)
	isExecutor := len(os.Args) > 1 && os.Args[1] == executorName // also with an environment of its own
	if isExecutor {
		failIfAsked()
	}
	if isExecutor || os.Getenv(asProgram) != "" {
		os.Exit(execute(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// executorFails makes executors fail: its value says how.
const executorFails = "RFAAS_TEST_EXECUTOR_FAILS"

// executorFailures are the ways, and what is said of them.
var executorFailures = map[string]string{
	"saying why":       "the reason",
	"with status 3":    "ended with exit status 3 before it was ready",
	"talking nonsense": `an answer was expected, but another message came: invalid character 'h'`,
	"taking no client": "ended with exit status 0",
}

func failIfAsked() {
	const control = 3 // where the supervisor sends JSON, and expects it
	say := func(answers ...string) {
		for _, a := range answers {
			if _, err := unix.Read(control, make([]byte, 1<<16)); err != nil {
				panic(err)
			}
			if _, err := unix.Write(control, []byte(a)); err != nil {
				panic(err)
			}
		}
		unix.Read(control, make([]byte, 1)) // until the supervisor wants no more
	}
	switch os.Getenv(executorFails) {
	case "saying why":
		say(`{"Failed": "the reason"}`)
		os.Exit(exitFailed)
	case "with status 3":
		os.Exit(3)
	case "talking nonsense":
		say("hello")
		os.Exit(exitOK)
	case "taking no client":
		say("{}", "{}")
		os.Exit(exitOK)
	}
}

// programTimeout bounds a run of the program.
const programTimeout = 60 * time.Second

// started is a run of the program.
type started struct {
	t              *testing.T
	cmd            *exec.Cmd
	mark           string // in the environment of all of its processes
	stdout, stderr transcript
	temp           string // its TMPDIR
	shared         []string
	ended          bool
}

// sweeping is what a program logs of the remains of one that was killed, by any test:
// whichever starts next removes them.
var sweeping = regexp.MustCompile(`(?m)^.*level=WARN msg="[a-z ]+ of a supervisor that is gone".*\n`)

// transcript is what a process wrote so far, but for its sweeping.
type transcript struct {
	mu   sync.Mutex
	text []byte
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	return len(p), nil
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return sweeping.ReplaceAllString(string(t.text), "")
}

// start starts the program in a folder.
func start(t *testing.T, dir string, args ...string) *started {
	t.Helper()
	return startWith(t, dir, nil, args...)
}

// startWith is start with changes to the command.
func startWith(t *testing.T, dir string, change func(*exec.Cmd), args ...string) *started {
	t.Helper()
	s := &started{t: t, temp: t.TempDir(), shared: sharedMemory(t)}
	s.mark = fmt.Sprintf("%s=%s", asProgram, s.temp)
	s.cmd = exec.Command("/proc/self/exe", args...)
	s.cmd.Dir = dir
	// The race detector would otherwise have every process sleep before its end.
	s.cmd.Env = append(os.Environ(), s.mark, "TMPDIR="+s.temp, "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	s.cmd.Stdout, s.cmd.Stderr = &s.stdout, &s.stderr
	s.cmd.WaitDelay = programTimeout
	if change != nil {
		change(s.cmd)
	}
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		if !s.ended {
			s.cmd.Process.Kill()
			s.wait()
		}
	})
	return s
}

// run runs the program to its end and returns its exit status. Nothing may
// remain of it.
func run(t *testing.T, dir string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	s := start(t, dir, args...)
	status = s.wait()
	return status, s.stdout.String(), s.stderr.String()
}

// succeed is run for what has to succeed.
func succeed(t *testing.T, dir string, args ...string) (stdout string) {
	t.Helper()
	status, stdout, stderr := run(t, dir, args...)
	require.Equal(t, exitOK, status, stderr)
	return stdout
}

// fails is run for what has to fail, though the command line is right.
func fails(t *testing.T, dir string, args ...string) (stderr string) {
	t.Helper()
	status, _, stderr := run(t, dir, args...)
	require.Equal(t, exitFailed, status, stderr)
	return stderr
}

// refuses checks that command lines are refused as mistakes, before anything is
// started: with a message that contains a text, by which they are given.
func refuses(t *testing.T, dir string, command []string, lines map[string][]string) {
	t.Helper()
	for want, args := range lines {
		status, stdout, stderr := run(t, dir, slices.Concat(command, args)...)
		require.Equal(t, exitUsage, status, stderr)
		require.Empty(t, stdout)
		require.Contains(t, stderr, want)
		require.Regexp(t, `\nSee 'rfaas .*--help'\.\n$`, stderr)
	}
}

// decodeLines reads JSON, a value a line.
func decodeLines[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var v T
		require.NoError(t, json.Unmarshal([]byte(line), &v), line)
		all = append(all, v)
	}
	return all
}

// wait waits for the end, checks that nothing remains, and returns the exit
// status, -1 for one that was killed.
func (s *started) wait() int {
	s.t.Helper()
	tooLate := time.AfterFunc(programTimeout, func() { s.cmd.Process.Kill() })
	s.cmd.Wait()
	s.ended = true
	assert.True(s.t, tooLate.Stop(), "the program did not end within %v", programTimeout)
	s.requireNothingRemains()
	assert.NotContains(s.t, s.stderr.String(), "DATA RACE")
	return s.cmd.ProcessState.ExitCode()
}

func (s *started) signal(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// requireNothingRemains checks that all processes of the program are gone, and
// that it left nothing behind.
func (s *started) requireNothingRemains() {
	s.t.Helper()
	if !eventually(5*time.Second, func() bool { return len(s.processes()) == 0 }) {
		assert.Fail(s.t, "processes remain", "%v", s.processes())
	}
	left, err := os.ReadDir(s.temp)
	assert.NoError(s.t, err)
	assert.Empty(s.t, left, "temporary files remain")
	assert.Subset(s.t, s.shared, sharedMemory(s.t), "files remain in /dev/shm")
}

// processes lists the program's processes, itself and its executors.
func (s *started) processes() []int {
	var found []int
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, entry := range entries {
		environment, _ := os.ReadFile(entry) // it may have ended meanwhile
		if bytes.Contains(environment, []byte(s.mark)) {
			var pid int
			fmt.Sscanf(entry, "/proc/%d/environ", &pid)
			found = append(found, pid)
		}
	}
	return found
}

// executors lists the program's executors.
func (s *started) executors() []int {
	return slices.DeleteFunc(s.processes(), func(pid int) bool { return pid == s.cmd.Process.Pid })
}

// sharedMemory lists what is this project's in /dev/shm.
func sharedMemory(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir("/dev/shm")
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	names := []string{}
	for _, entry := range entries {
		if strings.Contains(entry.Name(), "rfaas") {
			names = append(names, entry.Name())
		}
	}
	return names
}

// eventually waits for a condition.
func eventually(patience time.Duration, condition func() bool) bool {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if condition() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// write makes a file in a folder and returns its name there.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o666))
	return name
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(content)
}

// namesIn lists a folder, sorted; nothing if it is not there.
func namesIn(t *testing.T, path ...string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(path...))
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
