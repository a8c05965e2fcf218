//go:build amd64 || arm64

package confine

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// among configures Hosts that share nothing with other tests, and collects what they log.
func among(t *testing.T) (cfg HostConfig, said *bytes.Buffer) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, dir := range []string{os.TempDir(), filepath.Dir(os.TempDir())} { // for users of their own
		require.NoError(t, os.Chmod(dir, 0o711))
	}
	said = new(bytes.Buffer)
	cfg = HostConfig{
		FirstUID: 2_060_000_000 + os.Getpid()%4_000_000*20, UIDs: 20, LockFolder: filepath.Join(t.TempDir(), "locks"),
		Logger: slog.New(slog.NewTextHandler(said, nil)),
	}
	require.NoError(t, os.MkdirAll(cfg.journals(), 0o700))
	return cfg, said
}

// journals is the folder of the Hosts' journals.
func (cfg HostConfig) journals() string {
	if isRoot() {
		return cfg.LockFolder
	}
	return os.TempDir()
}

// meet starts and closes another Host.
func meet(t *testing.T, cfg HostConfig) {
	t.Helper()
	require.NoError(t, must(NewHost(cfg)).Close())
}

// steps are what a Host does from its start to its end. Each returns the folders that exist.
func (h *Host) steps(t *testing.T) []func() []string {
	var made, groups []string
	tmp := filepath.Join(os.TempDir(), h.journal.name+"-1")
	return []func() []string{
		func() []string { return nil },
		func() []string {
			require.NoError(t, h.journal.record(tmpKind, tmp))
			return nil
		},
		func() []string {
			require.NoError(t, os.Mkdir(tmp, 0o711))
			h.tmp = tmp
			made = append(made, tmp)
			return made
		},
		func() []string {
			must(h.tmpFolder("1", 0))
			return made
		},
		func() []string {
			require.NoError(t, h.takeGroups())
			for _, c := range h.hostGroups {
				made, groups = append(made, c.dir), append(groups, c.dir)
			}
			return made
		},
		func() []string {
			for _, c := range h.hostGroups {
				must(c.newGroup("1"))
			}
			return made
		},
		func() []string {
			require.ElementsMatch(t, groups, must(h.journal.removeGroups()))
			return []string{tmp}
		},
		func() []string {
			must(h.journal.removeTmp())
			return nil
		},
	}
}

// beginHost makes a Host that only has its journal.
func beginHost(cfg HostConfig) *Host {
	return &Host{cfg: cfg, mounts: must(mounts()), lacking: map[string]error{}, journal: must(newJournal(cfg.journals()))}
}

// At every step of a Host, another one that starts and ends leaves it alone.
func TestHostsMeet(t *testing.T) {
	cfg, said := among(t)
	h := beginHost(cfg)
	for _, step := range h.steps(t) {
		made := step()
		meet(t, cfg)
		for _, dir := range made {
			require.DirExists(t, dir)
		}
		require.FileExists(t, h.journal.Name())
	}
	name := h.journal.name
	require.NoError(t, h.Close())
	require.Empty(t, left(t, name))
	require.Empty(t, said.String())
}

// At whatever step a Host is killed, the next one removes what it has left, and logs it.
func TestHostKilledBetweenSteps(t *testing.T) {
	cfg, said := among(t)
	total := len(beginHost(cfg).steps(t))
	meet(t, cfg)
	for last := range total {
		h := beginHost(cfg)
		var made []string
		for _, step := range h.steps(t)[:last+1] {
			made = step()
		}
		require.NoError(t, h.journal.Close()) // as the kernel does when it is killed
		said.Reset()
		meet(t, cfg)
		require.Empty(t, left(t, h.journal.name), last)
		require.NoFileExists(t, h.journal.Name())
		for _, dir := range made {
			require.Contains(t, said.String(), dir)
		}
		require.Equal(t, len(made) == 0, said.Len() == 0, "%d: %s", last, said)
		said.Reset()
		meet(t, cfg)
		require.Empty(t, said.String(), "it was removed before")
	}
}

// A sweep can remove a journal before it is locked. Its Host makes another one.
func TestJournalIsSwept(t *testing.T) {
	cfg, said := among(t)
	f := must(createJournal(cfg.journals()))
	meet(t, cfg)
	require.NoFileExists(t, f.Name())
	require.Nil(t, must(lockJournal(f)), "the file is deleted")

	f = must(createJournal(cfg.journals()))
	sweeper := must(os.OpenFile(f.Name(), os.O_RDWR, 0))
	j := must(lockJournal(f))
	require.Nil(t, must(lockJournal(sweeper)), "its Host is running")
	require.NoError(t, j.close())
	require.Empty(t, said.String())
}

// Among concurrent sweeps, a Host gets its journal.
func TestJournalsAmongSweeps(t *testing.T) {
	cfg, _ := among(t)
	var end atomic.Bool
	var sweeps, makers sync.WaitGroup
	for range 2 {
		sweeps.Go(func() {
			for !end.Load() {
				gone, _ := orphans(cfg.journals())
				for _, j := range gone {
					j.close()
				}
			}
		})
	}
	errs := make([]error, 4)
	for i := range errs {
		makers.Go(func() {
			for range 500 {
				j, err := newJournal(cfg.journals())
				if err != nil {
					errs[i] = err
					return
				}
				if _, err := os.Stat(j.Name()); err != nil {
					errs[i] = err
				}
				j.close()
			}
		})
	}
	makers.Wait()
	end.Store(true)
	sweeps.Wait()
	require.Equal(t, make([]error, 4), errs)
}

// A sweep removes only what the journal's Host may have made.
func TestJournalNamesNothingElse(t *testing.T) {
	cfg, said := among(t)
	j := must(newJournal(cfg.journals()))
	other := filepath.Join(os.TempDir(), "another's")
	require.NoError(t, os.Mkdir(other, 0o700))
	require.NoError(t, j.record(tmpKind, other))
	require.NoError(t, j.record(tmpKind, other+"/"+j.name+"/.."))
	require.NoError(t, j.Close())
	meet(t, cfg)
	require.DirExists(t, other)
	require.Empty(t, said.String())
}

// A sweep does not mistake the probe of namespaces for a leftover process.
func TestProbeAmongSweeps(t *testing.T) {
	needRoot(t, "processes of others have no user ids of their own")
	cfg, said := among(t)
	cfg.Cgroup = "/there is none" // to save time
	h := startHost(t, cfg)
	needNamespaces(t, h)
	sweeper := must(newUIDPool(cfg.LockFolder, cfg.FirstUID, cfg.UIDs))
	// A sweep of the probe only, often enough to coincide with it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	children := fmt.Sprintf("/proc/self/task/%d/children", unix.Gettid())
	var end atomic.Bool
	var seen, ended atomic.Int64
	var sweeps sync.WaitGroup
	sweeps.Go(func() {
		for !end.Load() {
			text, _ := os.ReadFile(children)
			pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			uid := ownerOf(pid)
			if uid >= cfg.FirstUID {
				seen.Add(1)
			}
			if sweeper.endOrphan(pid, uid) {
				ended.Add(1)
			}
		}
	})
	for give := time.Now().Add(time.Minute); seen.Load() < 20 && ended.Load() == 0 && time.Now().Before(give); {
		h.namespacesWork = false // as a new Host
		p := must(h.Prepare(exec.Command("/proc/self/exe"), Policy{}))
		report := p.Report()
		require.True(t, report.Applied(Namespaces), report)
		must(p.Close())
	}
	end.Store(true)
	sweeps.Wait()
	require.Zero(t, ended.Load())
	require.Positive(t, seen.Load())
	require.Empty(t, said.String())
}

// A probe uses the user id of the process, so the last free id is enough.
func TestLastUID(t *testing.T) {
	needRoot(t, "others cannot give ids away")
	cfg, _ := among(t)
	cfg.UIDs = 1
	h := startHost(t, cfg)
	needNamespaces(t, h)
	p := must(h.Prepare(exec.Command("/proc/self/exe"), Policy{}))
	defer p.Close()
	other := startHost(t, cfg) // while no id is free
	must(p.Close())
	q := must(other.Prepare(exec.Command("/proc/self/exe"), Policy{}))
	defer q.Close()
	report := q.Report()
	require.True(t, report.Applied(UID) && report.Applied(Namespaces), report)
}

// A leftover process that writes is killed before its files are removed.
func TestWriterIsLeft(t *testing.T) {
	needRoot(t, "processes of others end with their supervisor only")
	cfg, said := among(t)
	h := must(NewHost(cfg))
	l := must(h.pool.take())
	dir := must(h.tmpFolder("1", l.uid))
	cmd := exec.Command("/bin/sh", "-c", `i=0; while : > $i; do i=$((i+1)); done`)
	cmd.Dir, cmd.SysProcAttr = dir, &syscall.SysProcAttr{Credential: credential(l.uid)}
	require.NoError(t, cmd.Start())
	defer end(cmd)
	require.Eventually(t, func() bool { _, err := os.Stat(dir + "/1000"); return err == nil }, time.Minute, time.Millisecond)
	meet(t, cfg)
	require.Empty(t, said.String(), "its Host is running")
	require.NoError(t, h.journal.Close())
	l.release()
	meet(t, cfg)
	require.Empty(t, left(t, h.journal.name))
	require.Contains(t, said.String(), "processes=1")
	require.Contains(t, said.String(), "removed temporary files")
	require.NotContains(t, said.String(), "could not be")
}

// sleeper is a process that sleeps until the test ends.
func sleeper(t *testing.T) *exec.Cmd {
	cmd := exec.Command("/bin/sleep", "1000")
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { end(cmd) })
	return cmd
}

// end kills a process, if it has not ended.
func end(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// A process in a Host's own group does not keep the Host from removing it.
func TestProcessInHostsGroup(t *testing.T) {
	h := newHost(t)
	var hostGroups []*hostGroup
	for _, c := range h.hostGroups {
		if !c.v2 { // in version 2, a group that is divided takes none
			hostGroups = append(hostGroups, c)
		}
	}
	if len(hostGroups) == 0 {
		t.Skip("no control groups of version 1, or not the right to make some")
	}
	cmd := sleeper(t)
	for _, c := range hostGroups {
		g := &group{c, c.dir}
		require.NoError(t, g.write("cgroup.procs", strconv.Itoa(cmd.Process.Pid)))
	}
	require.NoError(t, h.Close())
}

// A process that is a zombie, or about to be, is not a leftover.
func TestExiting(t *testing.T) {
	t.Parallel()
	require.False(t, exiting(os.Getpid()))
	cmd := sleeper(t)
	require.False(t, exiting(cmd.Process.Pid))
	require.NoError(t, cmd.Process.Kill())
	require.Eventually(t, func() bool { return ownerOf(cmd.Process.Pid) == -1 }, time.Minute, time.Millisecond)
	require.True(t, exiting(cmd.Process.Pid))
	cmd.Wait()
	require.True(t, exiting(cmd.Process.Pid))
}

// A process that has reused the id of one to be killed is left alone.
func TestIDsAreUsedAgain(t *testing.T) {
	const lastPID = "/proc/sys/kernel/ns_last_pid"
	if _, err := os.Stat(lastPID); err != nil || !isRoot() {
		t.Skip("needs root and a kernel with CONFIG_CHECKPOINT_RESTORE, to choose the id of the next process")
	}
	first := sleeper(t)
	pid := first.Process.Pid
	var second *exec.Cmd
	killed := killIf(pid, func() bool {
		end(first)
		for range 1000 { // others start processes, too
			require.NoError(t, os.WriteFile(lastPID, []byte(strconv.Itoa(pid-1)), 0))
			if second = sleeper(t); second.Process.Pid == pid {
				return true
			}
			end(second)
			second = nil
		}
		return false
	})
	if second == nil {
		t.Skip("the id could not be reused")
	}
	require.False(t, killed)
	require.True(t, exists(strconv.Itoa(pid)))
}

// A Host that is made while the process's first thread starts another one's process, and is in
// its groups, does not take these for its own: it would make its groups there, put threads there
// afterwards, and these would be killed with what is in them.
func TestFirstThreadIsElsewhere(t *testing.T) {
	needRoot(t, "it moves a thread to another control group")
	h := newHost(t)
	needGroup(t, h, "pids")
	at := slices.IndexFunc(h.hostGroups, func(c *hostGroup) bool { return !c.v2 })
	if at < 0 {
		t.Skip("needs control groups of version 1: those of version 2 have no single threads")
	}
	home := h.hostGroups[at].home
	g := must(h.hostGroups[at].newGroup("elsewhere"))
	onAnotherThread(func() {
		require.NoError(t, g.write("tasks", strconv.Itoa(os.Getpid())))
		other, err := NewHost(h.cfg)
		// All threads: those that the first one has made meanwhile are there, too.
		require.NoError(t, writeFile(filepath.Join(home, "cgroup.procs"), strconv.Itoa(os.Getpid())))
		require.NoError(t, err)
		require.Equal(t, home, other.hostGroups[at].home)
		require.NoError(t, other.Close())
	})
	require.NoError(t, removeGroup(g.dir, false))
}

// onAnotherThread calls a function on another thread than the process's first.
func onAnotherThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if unix.Gettid() == os.Getpid() {
			onAnotherThread(f) // this one is taken
			return
		}
		f()
	}()
	<-done
}
