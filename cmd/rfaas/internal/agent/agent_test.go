package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Executors of the tests are the test binary with one of these as its argument.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 {
		switch os.Args[1] {
		case "obedient":
			fmt.Fprintln(os.Stderr, "a word on the standard error")
			WriteReady(os.Stdout, "@address")
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		case "obstinate":
			signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
			WriteReady(os.Stdout, "@address")
			time.Sleep(time.Minute) // without cgo, select {} would be noticed as a deadlock
		case "failing":
			WriteFailed(os.Stdout, errors.New("two\nlines"))
			os.Exit(1)
		case "exiting":
			os.Exit(7)
		case "silent":
			io.Copy(io.Discard, os.Stdin)
			os.Exit(0)
		case "babbling":
			for {
				fmt.Print(strings.Repeat("x", 1000))
			}
		case "parent": // of executors, to be killed
			a := New(Config{Args: []string{"obstinate"}, Stderr: os.Stderr})
			for range 2 {
				e, err := a.Start(context.Background(), AnyCore)
				if err != nil {
					fmt.Println(err)
					os.Exit(1)
				}
				fmt.Println(e.PID())
			}
			time.Sleep(time.Minute)
		}
	}
	os.Exit(m.Run())
}

// transcript is a Config.Stderr.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func newAgent(t *testing.T, kind string) *Agent {
	a := New(Config{Args: []string{kind}, Stderr: os.Stderr})
	t.Cleanup(func() { a.Close(0) })
	return a
}

const patience = 20 * time.Second

func requireEnds(t *testing.T, e *Executor) {
	t.Helper()
	select {
	case <-e.Ended():
	case <-time.After(patience):
		t.Fatal("the executor goes on")
	}
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	var said transcript
	a := New(Config{Args: []string{"obedient"}, Stderr: &said})
	e, err := a.Start(t.Context(), AnyCore)
	require.NoError(t, err)
	network, address := e.Address()
	require.Equal(t, "unix @address", network+" "+address)
	require.Empty(t, e.Death())

	e.Stop(patience)

	requireEnds(t, e)
	require.Equal(t, "ended with exit status 0", e.Death())
	require.Equal(t, "a word on the standard error\n", said.text.String())
	e.Stop(patience) // once more does no harm
	a.Close(patience)
	_, err = a.Start(t.Context(), AnyCore)
	require.ErrorIs(t, err, ErrClosed)
}

func TestDeathIsNoticed(t *testing.T) {
	t.Parallel()
	e, err := newAgent(t, "obedient").Start(t.Context(), AnyCore)
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(e.PID(), syscall.SIGTERM))
	requireEnds(t, e)
	require.Equal(t, "killed by signal 15 (terminated)", e.Death())
}

func TestStopKillsTheObstinate(t *testing.T) {
	t.Parallel()
	e, err := newAgent(t, "obstinate").Start(t.Context(), AnyCore)
	require.NoError(t, err)
	e.Stop(10 * time.Millisecond)
	require.Equal(t, "killed by signal 9 (killed)", e.Death())
}

// Close ends all executors, those that are starting, too.
func TestClose(t *testing.T) {
	t.Parallel()
	a := New(Config{Args: []string{"obedient"}, Stderr: io.Discard})
	b := New(Config{Args: []string{"silent"}, Stderr: io.Discard})
	var executors []*Executor
	for range 3 {
		e, err := a.Start(t.Context(), AnyCore)
		require.NoError(t, err)
		executors = append(executors, e)
	}
	starting := make(chan error)
	go func() {
		_, err := b.Start(context.Background(), AnyCore)
		starting <- err
	}()
	for {
		b.mu.Lock()
		n := len(b.alive)
		b.mu.Unlock()
		if n > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}

	a.Close(patience)
	b.Close(patience)

	for _, e := range executors {
		require.Equal(t, "ended with exit status 0", e.Death())
	}
	require.ErrorContains(t, <-starting, "ended with exit status 0 before it was ready")
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"failing":  "two; lines",
		"exiting":  "ended with exit status 7 before it was ready",
		"babbling": "its first line has more than 4096 bytes",
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			_, err := newAgent(t, kind).Start(t.Context(), AnyCore)
			require.ErrorContains(t, err, want)
		})
	}
}

// The caller can give a start up; the process does not remain.
func TestStartIsGivenUp(t *testing.T) {
	t.Parallel()
	a := newAgent(t, "silent")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	_, err := a.Start(ctx, AnyCore)
	require.ErrorIs(t, err, context.Canceled)
	require.Eventually(t, func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return len(a.alive) == 0
	}, patience, time.Millisecond)
}

// An executor may use its processor only.
func TestStartOnCore(t *testing.T) {
	t.Parallel()
	allowed, err := AllowedCores()
	require.NoError(t, err)
	core := allowed[len(allowed)-1]
	e, err := newAgent(t, "obedient").Start(t.Context(), core)
	require.NoError(t, err)
	require.Equal(t, core, e.Core())
	var set, want unix.CPUSet
	want.Set(core)
	require.NoError(t, unix.SchedGetaffinity(e.PID(), &set))
	require.Equal(t, want, set)
	again, err := AllowedCores()
	require.NoError(t, err)
	require.Equal(t, allowed, again, "this process was pinned, too")
}

// Executors do not outlive a parent that is killed, whatever they do.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("/proc/self/exe", "parent")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var first, second int
	_, err = fmt.Fscan(out, &first, &second)
	require.NoError(t, err)

	require.NoError(t, cmd.Process.Kill())
	cmd.Wait()

	defer func() {
		for _, pid := range []int{first, second} {
			if !gone(pid) {
				syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	}()
	for _, pid := range []int{first, second} {
		require.Eventually(t, func() bool { return gone(pid) }, patience, time.Millisecond)
	}
}

// gone reports whether a process has ended, be it that nobody has reaped it.
func gone(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(state, "Z")
}

func TestSiblingsLast(t *testing.T) {
	t.Parallel()
	sys := fstest.MapFS{}
	for n, siblings := range map[int]string{0: "0-1", 1: "0-1", 2: "2-3", 3: "2-3"} {
		name := fmt.Sprintf("devices/system/cpu/cpu%d/topology/thread_siblings_list", n)
		sys[name] = &fstest.MapFile{Data: []byte(siblings + "\n")}
	}
	require.Equal(t, []int{0, 2, 1, 3}, siblingsLast(sys, []int{0, 1, 2, 3}))
	require.Equal(t, []int{1, 3}, siblingsLast(sys, []int{1, 3}))
	require.Equal(t, []int{0, 2, 7, 3}, siblingsLast(sys, []int{0, 2, 3, 7}), "of 7 nothing is known")
}

func TestPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		workers int
		allowed []int
		want    []int
		note    string
	}{
		{1, []int{4, 5}, []int{4}, ""},
		{2, []int{0, 2, 1, 3}, []int{0, 2}, ""},
		{3, []int{0, 2, 1, 3}, []int{0, 2, 1}, ""},
		{2, []int{0, 1}, []int{AnyCore, AnyCore}, "workers are not pinned: 2 cores for 2 workers and the client"},
		{1, []int{3}, []int{AnyCore}, "workers are not pinned: 1 core for 1 worker and the client"},
	} {
		cores, note := Place(c.workers, c.allowed)
		require.Equal(t, c.want, cores)
		require.Equal(t, c.note, note)
	}
}
