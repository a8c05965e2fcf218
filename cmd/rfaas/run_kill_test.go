package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
	"github.com/rfaas-go/rfaas/internal/effort"
)

var killSeed = flag.Uint64("killseed", 0, "seed of the moments at which processes are killed; random if 0")

// moments is the source of random moments of a test, whose seed is printed.
func moments(t *testing.T) *rand.Rand {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("go test -run '^%s$' ./cmd/rfaas -killseed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// inputs makes numbered inputs in a folder "in" and returns their names.
func inputs(t *testing.T, dir string, n int) []string {
	t.Helper()
	args := make([]string, n)
	for i := range args {
		args[i] = write(t, dir, fmt.Sprintf("in/%04d", i), fmt.Sprint("input ", i))
	}
	return args
}

// Workers are killed at any moment of their lives. Everything is done
// all the same, since the function is idempotent, and nothing leaks.
func TestRunWorkersKilled(t *testing.T) {
	t.Parallel()
	random := moments(t)
	kills, count := effort.Of(5, 50), effort.Of(200, 2000)
	for killed := 0; killed < kills; { // one run, unless the machine is slow
		dir := t.TempDir()
		s := start(t, dir, append([]string{"run", "-f", "test-signed-work", "--workers", "2", "-o", "out"}, inputs(t, dir, count)...)...)
		killed += s.killWorkers(random, kills-killed, filepath.Join(dir, "out"), count)

		require.Equal(t, exitOK, s.wait(), "%s%s", &s.stdout, &s.stderr)
		require.Len(t, namesIn(t, dir, "out"), count)
		for i := range count {
			result, _, _ := strings.Cut(read(t, dir, "out", fmt.Sprintf("%04d", i)), "\n")
			require.Equal(t, worked(fmt.Sprint("input ", i)), result)
		}
		require.Contains(t, s.stdout.String(), fmt.Sprintf("test-signed-work: %d of %d inputs done, in ", count, count))
		require.Regexp(t, `(?m)^  lost and replaced: \d+ worker process(es)?; tried again: \d+ inputs?$`, s.stdout.String())
		require.Contains(t, s.stderr.String(), "killed by signal 9 (killed)")
	}
}

// killWorkers kills workers until there were so many, or the run has its count
// of results in the folder out, and returns how many it killed.
func (s *started) killWorkers(random *rand.Rand, kills int, out string, count int) int {
	signed := &signatures{t: s.t, dir: out, seen: map[string]bool{}, signers: map[string]bool{}}
	// Both workers have done something since they started, so whatever a killed one
	// had was done by its successor, or is now with one that has been killed once.
	// An input is given up after three kills: the successor may be killed, too, as
	// it starts, and the one after it may not.
	settled := func() []int {
		var alive []int
		signed.await(count, func() bool {
			alive = slices.DeleteFunc(s.executors(), func(pid int) bool { return !signed.signers[strconv.Itoa(pid)] })
			return len(alive) == 2
		})
		return alive
	}
	settled()
	descriptors := s.descriptors()
	killed := 0
	kill := func(pids []int) {
		syscall.Kill(pids[random.IntN(len(pids))], syscall.SIGKILL) // at the end it may be gone
		killed++
	}
	for killed < kills && len(signed.seen) < count {
		time.Sleep(time.Duration(random.IntN(6000)) * time.Microsecond)
		alive := s.executors()
		if len(alive) == 0 { // the run is done
			break
		}
		kill(alive)
		if killed < kills && random.IntN(4) == 0 { // and the one after it as it starts
			eventually(time.Second, func() bool {
				next := slices.DeleteFunc(s.executors(), func(pid int) bool { return slices.Contains(alive, pid) })
				if len(next) > 0 {
					kill(next)
				}
				return len(next) > 0
			})
		}
		settled()
	}
	if len(signed.seen) < count {
		require.LessOrEqual(s.t, s.descriptors(), descriptors+16, "descriptors leak")
	}
	return killed
}

// signatures looks for the processes that have signed results.
type signatures struct {
	t       *testing.T
	dir     string
	seen    map[string]bool // results
	signers map[string]bool // processes
}

// await waits until a condition holds, or there are count results.
func (s *signatures) await(count int, condition func() bool) {
	s.t.Helper()
	require.True(s.t, eventually(20*time.Second, func() bool {
		for _, name := range namesIn(s.t, s.dir) {
			if !s.seen[name] {
				s.seen[name] = true
				_, signer, _ := strings.Cut(read(s.t, s.dir, name), "\n")
				s.signers[signer] = true
			}
		}
		return len(s.seen) == count || condition()
	}), "no result of a new worker")
}

// descriptors counts the program's open files.
func (s *started) descriptors() int {
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	return len(open)
}

// A function that is not idempotent is not called twice: its input is reported,
// and the others are done.
func TestRunWorkerKilledNotIdempotent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := []string{"run", "-f", "test-suicide-once", "--workers", "2", "-o", "out", write(t, dir, "culprit", "kill")}
	args = append(args, inputs(t, dir, 20)...)

	status, stdout, stderr := run(t, dir, args...)

	require.Equal(t, exitFailed, status, stderr)
	require.Contains(t, stdout, "test-suicide-once: 20 of 21 inputs done, 1 failed, in ")
	require.Regexp(t, `(?m)^  culprit: worker process \d+ was lost: killed by signal 9 \(killed\) while function "test-suicide-once" ran; not tried again, because test-suicide-once is not declared idempotent$`, stdout)
	require.NotContains(t, namesIn(t, dir, "out"), "culprit")
	require.Len(t, namesIn(t, dir, "out"), 20)
}

// Random kills under a function that is not idempotent: every input is either
// done or reported.
func TestRunWorkersKilledNotIdempotent(t *testing.T) {
	t.Parallel()
	random := moments(t)
	const kills, count = 10, 400
	dir := t.TempDir()
	s := start(t, dir, append([]string{"run", "-f", "test-work-once", "--workers", "2", "-o", "out"}, inputs(t, dir, count)...)...)
	for range kills {
		before := len(namesIn(t, dir, "out"))
		eventually(20*time.Second, func() bool { return len(namesIn(t, dir, "out")) >= before+8 || len(s.executors()) == 0 })
		time.Sleep(time.Duration(random.IntN(6000)) * time.Microsecond)
		if victims := s.executors(); len(victims) > 0 {
			syscall.Kill(victims[random.IntN(len(victims))], syscall.SIGKILL)
		}
	}

	status := s.wait()

	done := namesIn(t, dir, "out")
	failed := strings.Count(s.stdout.String(), "is not declared idempotent\n")
	require.Equal(t, count, len(done)+failed, s.stdout.String())
	for _, name := range done {
		require.Equal(t, worked(read(t, dir, "in", name)), read(t, dir, "out", name))
		require.NotContains(t, s.stdout.String(), "in/"+name+":", "reported, and done all the same")
	}
	if failed > 0 {
		require.Equal(t, exitFailed, status)
	} else {
		require.Equal(t, exitOK, status) // all kills met workers without a call
	}
}

// An input that kills every worker is found out.
func TestRunCulprit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := append([]string{"run", "-f", "test-suicide", "--workers", "2", "-o", "out"}, inputs(t, dir, 10)...)
	args = append(args, write(t, dir, "culprit", "kill"), write(t, dir, "another", "kill"), write(t, dir, "third", "kill"))
	args = append(args, write(t, dir, "last", "innocent"))

	status, stdout, stderr := run(t, dir, args...)

	require.Equal(t, exitFailed, status)
	require.Contains(t, stdout, "test-suicide: 11 of 14 inputs done, 3 failed, in ")
	for _, name := range []string{"culprit", "another", "third"} {
		require.Regexp(t, `(?m)^  `+name+`: tried 3 times, and its worker was lost each time: worker process \d+ was lost: killed by signal 9 \(killed\) while function "test-suicide" ran$`, stdout)
	}
	require.Regexp(t, `(?m)^  lost and replaced: [789] worker processes; tried again: 3 inputs$`, stdout)
	require.Contains(t, stderr, `msg="input is tried again" input=culprit attempt=3`)
	require.Equal(t, "innocent", read(t, dir, "out/last"))
}

// The program itself is killed, at any moment: no process continues without it,
// and what has the name of a result is one.
func TestRunProgramKilled(t *testing.T) {
	t.Parallel()
	random := moments(t)
	for range 10 {
		dir := t.TempDir()
		s := start(t, dir, append([]string{"run", "-f", "test-work", "--workers", "2", "-o", "out"}, inputs(t, dir, 500)...)...)
		if random.IntN(4) > 0 {
			require.True(t, eventually(10*time.Second, func() bool { return len(namesIn(t, dir, "out")) > 0 }))
		}
		time.Sleep(time.Duration(random.IntN(30_000)) * time.Microsecond)
		s.signal(syscall.SIGKILL)

		require.Equal(t, -1, s.wait())
		for _, name := range namesIn(t, dir, "out") {
			require.False(t, strings.HasPrefix(name, atomicfile.TempPrefix), name)
			require.Equal(t, worked(read(t, dir, "in", name)), read(t, dir, "out", name))
		}
	}
}

// An executor that is started by hand says what it is for.
func TestExecutorByHand(t *testing.T) {
	t.Parallel()
	status, stdout, stderr := run(t, t.TempDir(), "executor")
	require.Equal(t, exitFailed, status, stderr)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "rfaas executor: this program is for a supervisor to start")
}

// Workers that cannot be started end the run, and the reason is reported.
func TestRunWorkersDoNotStart(t *testing.T) {
	t.Parallel()
	for how, want := range executorFailures {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			fail := func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, executorFails+"="+how) }

			s := startWith(t, dir, fail, append([]string{"run", "-f", "test-work", "--workers", "2", "-o", "out"}, inputs(t, dir, 3)...)...)

			require.Equal(t, exitFailed, s.wait())
			require.Contains(t, s.stdout.String(), "test-work: 0 of 3 inputs done, 3 not tried, in ")
			require.Regexp(t, `(?m)^not tried: 3 inputs, from in/0000 on: worker 1: 5 starts failed in a row, the last one: executor( \(process \d+\))?: .*`+regexp.QuoteMeta(want), s.stdout.String())
			require.Empty(t, s.stderr.String(), "it is told twice")
		})
	}
}
