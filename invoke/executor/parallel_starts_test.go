package executor

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

var starts = flag.Int("starts", 24, "how many executors TestParallelStarts starts")

// Twelve starts at a time, by four supervisors of three.
const (
	startingSupervisors = 4
	startsOfSupervisor  = 3
)

// The supervisors have locks, user ids and control groups of the test's own, so that they do
// not warn of what others left.
const (
	startsFolder  = "RFAAS_TEST_STARTS_FOLDER"
	startsCgroup  = "RFAAS_TEST_STARTS_CGROUP"
	startsWithout = "RFAAS_TEST_STARTS_WITHOUT"
	startsUIDs    = 100
)

// Supervisors that start and end while others start isolated executors do not disturb
// them, log no warning, and leave nothing behind.
func TestParallelStarts(t *testing.T) { // not parallel: it keeps the machine busy
	effort.TwoProcesses(t)
	tmp, locks := t.TempDir(), filepath.Join(t.TempDir(), "locks")
	group := "rfaas-starts-" + rand.Text()[:12]
	groups := makeGroups(t, group)
	for _, dir := range []string{tmp, filepath.Dir(tmp)} { // executors have users of their own
		require.NoError(t, os.Chmod(dir, 0o711))
	}
	var done atomic.Int64 // starts tried
	require.NoError(t, together(startingSupervisors, func() error {
		for {
			n := done.Add(startsOfSupervisor)
			if n-startsOfSupervisor >= int64(*starts) {
				return nil
			}
			cmd := exec.Command("/proc/self/exe", "starting supervisor")
			cmd.Env = append(os.Environ(), "TMPDIR="+tmp, startsFolder+"="+locks)
			if len(groups) > 0 {
				cmd.Env = append(cmd.Env, startsCgroup+"="+group)
			}
			if n/startsOfSupervisor%2 == 0 { // folders for temporary files instead
				cmd.Env = append(cmd.Env, startsWithout+"="+string(confine.Namespaces))
			}
			if said, err := cmd.CombinedOutput(); err != nil || len(said) > 0 {
				done.Store(int64(*starts)) // the others need not go on
				return fmt.Errorf("at start %d: %v: %s", n, err, said)
			}
		}
	}))
	for _, dir := range groups {
		inside := must(filepath.Glob(filepath.Join(dir, "*", "cgroup.procs")))
		require.Empty(t, inside)
	}
	left := must(os.ReadDir(tmp))
	require.Empty(t, left)
	requireUnlocked(t, locks)
}

// makeGroups makes a control group in each hierarchy, if this user may.
func makeGroups(t *testing.T, name string) (made []string) {
	t.Helper()
	mounts := must(os.ReadFile("/proc/self/mounts"))
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(fields[2], "cgroup") {
			continue
		}
		for _, c := range []string{"+memory", "+pids", "+cpu"} { // version 2 only, and what it has
			os.WriteFile(filepath.Join(fields[1], "cgroup.subtree_control"), []byte(c), 0)
		}
		dir := filepath.Join(fields[1], name)
		err := os.Mkdir(dir, 0o755)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			continue
		}
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, os.Remove(dir)) })
		made = append(made, dir)
	}
	return made
}

// requireUnlocked checks that the folder has only locks of user ids, and that none is held.
func requireUnlocked(t *testing.T, folder string) {
	t.Helper()
	files, err := os.ReadDir(folder)
	if os.Getuid() != 0 && errors.Is(err, fs.ErrNotExist) {
		return // others have no user ids to give
	}
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		_, err := strconv.Atoi(f.Name())
		require.NoError(t, err, "not a user id")
		file := must(os.Open(filepath.Join(folder, f.Name())))
		require.NoError(t, unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB), f.Name())
		file.Close()
	}
}

// superviseStarts is a supervisor of TestParallelStarts. Its output says what went wrong.
func superviseStarts() error {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := must(New(Config{Setup: setup, Logger: logger}))
	s.host = must(confine.NewHost(confine.HostConfig{
		Cgroup: os.Getenv(startsCgroup), LockFolder: os.Getenv(startsFolder), FirstUID: 1_960_000_000 + os.Getppid()%900_000*startsUIDs, UIDs: startsUIDs, Logger: logger,
	}))
	s.cfg.Confine = confined()
	if m := os.Getenv(startsWithout); m != "" {
		s.cfg.Confine.Without = []confine.Measure{confine.Measure(m)}
	}
	err := together(startsOfSupervisor, func() error { return startAndCall(s) })
	s.Close(patience)
	for _, file := range must(filepath.Glob("/proc/self/task/*/children")) {
		if list, _ := os.ReadFile(file); len(list) > 0 { // an error means that the thread has ended
			err = errors.Join(err, fmt.Errorf("processes are left: %s", list))
		}
	}
	if log.Len() > 0 {
		err = errors.Join(err, errors.New(log.String()))
	}
	return err
}

// startAndCall starts an executor, calls it once, and ends it.
func startAndCall(s *Supervisor) error {
	e, err := s.Start(context.Background(), Order{Assignment: assignmentOf("echo")})
	if err != nil {
		return err
	}
	report, _ := e.Confinement()
	if skipped := slices.Contains(s.cfg.Confine.Without, confine.Namespaces); !skipped && !report.Applied(confine.Namespaces) {
		if detail := report.Detail(confine.Namespaces); !strings.Contains(detail, "is mounted over") && !strings.Contains(detail, "AppArmor") {
			return fmt.Errorf("no namespaces: %s", detail)
		}
	}
	if out, err := dialAndCall(context.Background(), e, "echo", "hello"); err != nil || out != "hello" {
		return fmt.Errorf("the call: %w: %q", err, out)
	}
	e.Stop(patience)
	if fate, _ := e.Fate(); fate != (Fate{}) || e.remains != nil {
		return fmt.Errorf("the end: %v, remains: %v", fate, e.remains)
	}
	return nil
}

// together calls f n times concurrently.
func together(n int, f func() error) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range errs {
		all.Go(func() { errs[i] = f() })
	}
	all.Wait()
	return errors.Join(errs...)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
