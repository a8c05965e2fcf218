//go:build amd64 || arm64

package confine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// testHost has user ids and locks of the tests' own.
func testHost() HostConfig {
	return HostConfig{FirstUID: 1_950_000_000, UIDs: 200, LockFolder: "/run/rfaas-confine-test"}
}

// unpreparedHere is what a test excludes by the variable: namespaces.
func unpreparedHere() []Measure {
	if os.Getenv("CONFINE_TEST_WITHOUT_NAMESPACES") != "" {
		return []Measure{Namespaces}
	}
	return nil
}

func newHost(t *testing.T) *Host { return startHost(t, testHost()) }

// startHost makes a Host for the length of the test.
func startHost(t *testing.T, cfg HostConfig) *Host {
	t.Helper()
	h := must(NewHost(cfg))
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// running is a confined process of a test.
type running struct {
	*Process
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errs   *bytes.Buffer
	waited chan error
}

// launch starts a scenario. The goroutine that starts it waits for it, as Start requires.
func launch(t *testing.T, h *Host, scenario string, p Policy, files ...*os.File) *running {
	t.Helper()
	p.Env = append(p.Env, scenarioName+"="+scenario)
	cmd := exec.Command("/proc/self/exe")
	r := &running{cmd: cmd, errs: new(bytes.Buffer), waited: make(chan error, 1)}
	cmd.Stderr = r.errs
	cmd.ExtraFiles = files
	r.in = must(cmd.StdinPipe())
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stdout = writer
	r.out = bufio.NewReader(reader)
	r.Process = must(h.Prepare(cmd, p))
	started := make(chan error)
	go func() {
		err := r.Start()
		started <- err
		if err == nil {
			r.waited <- cmd.Wait()
		}
	}()
	err = <-started
	writer.Close()
	t.Cleanup(func() {
		r.in.Close()
		reader.Close()
		must(r.Close())
	})
	require.NoError(t, err)
	return r
}

// end waits for the process, a minute at most.
func (r *running) end(t *testing.T) *os.ProcessState {
	t.Helper()
	select {
	case <-r.waited:
	case <-time.After(time.Minute):
		r.Kill()
		require.FailNow(t, "the process does not end", r.errs)
	}
	return r.cmd.ProcessState
}

// ready waits until the process says that it is.
func (r *running) ready(t *testing.T) *running {
	t.Helper()
	line, err := r.out.ReadString('\n')
	require.Equal(t, "ready\n", line, "%v %s", err, r.errs)
	return r
}

// policyFor is the default policy without what this machine lacks. Tests of limits call
// needGroup.
func policyFor(h *Host) Policy {
	p := DefaultPolicy()
	p.Require = slices.DeleteFunc(p.Require, func(m Measure) bool {
		return m == MemoryLimit && h.lacking["memory"] != nil || m == TaskLimit && h.lacking["pids"] != nil
	})
	return p
}

// lacking skips a test, or fails it where every test has to run: as root in CI.
func lacking(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") != "" && isRoot() {
		require.NoError(t, err, what)
	}
	t.Skipf("%s: %v", what, err)
}

// needRoot skips a test of what only root can do.
func needRoot(t *testing.T, why string) {
	t.Helper()
	if !isRoot() {
		t.Skip("needs root: " + why)
	}
}

func needGroup(t *testing.T, h *Host, controller string) {
	t.Helper()
	if err := h.lacking[controller]; err != nil {
		lacking(t, "control group of "+controller, err)
	}
}

func needNamespaces(t *testing.T, h *Host) {
	t.Helper()
	uid := 0
	if h.pool != nil {
		l := must(h.pool.take())
		defer l.release()
		uid = l.uid
	}
	if err := h.namespaces(uid); err != nil {
		lacking(t, "namespaces", err)
	}
}

// ways runs a test with each way to prepare a process.
func ways(t *testing.T, f func(t *testing.T, h *Host, p Policy)) {
	for _, w := range []struct {
		name    string
		without []Measure
		verbs   bool
	}{
		{"namespaces", nil, false},
		{"without namespaces", []Measure{Namespaces}, false},
		{"restarted", nil, true},
	} {
		t.Run(w.name, func(t *testing.T) {
			h := newHost(t)
			p := policyFor(h)
			p.Without, p.Verbs = w.without, w.verbs
			if w.without == nil {
				needNamespaces(t, h)
			}
			f(t, h, p)
		})
	}
}

// look runs the scenario attempts.
func look(t *testing.T, h *Host, p Policy) (f findings) {
	fds := must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	mine, theirs := os.NewFile(uintptr(fds[0]), "mine"), os.NewFile(uintptr(fds[1]), "theirs")
	defer theirs.Close()
	peer := must(net.FileConn(mine))
	mine.Close()
	defer peer.Close()
	go func() {
		if line, _ := bufio.NewReader(peer).ReadString('\n'); line == "ping\n" {
			peer.Write([]byte("pong\n"))
		}
	}()
	p.Env = append(p.Env, fmt.Sprintf("CONFINE_TEST_SUPERVISOR=%d", os.Getpid()))
	r := launch(t, h, "attempts", p, theirs)
	text := must(io.ReadAll(r.out))
	require.True(t, r.end(t).Success(), "%v %s %s", r.cmd.ProcessState, r.errs, text)
	require.NoError(t, json.Unmarshal(text, &f), "%s", text)
	return f
}

func TestForbidden(t *testing.T) {
	ways(t, func(t *testing.T, h *Host, p Policy) {
		dir := must(os.MkdirTemp("", "confine-test"))
		defer os.RemoveAll(dir)
		require.NoError(t, os.Chmod(dir, 0o755))
		file, other := filepath.Join(dir, "package"), filepath.Join(dir, "other")
		for _, path := range []string{file, other} {
			require.NoError(t, os.WriteFile(path, []byte("x"), 0o666))
			require.NoError(t, os.Chmod(path, 0o666))
		}
		p.Paths = []Path{{Host: file}}
		p.Env = []string{"CONFINE_TEST_FILE=" + file, "CONFINE_TEST_OTHER=" + other}

		// A descriptor that this process could have inherited.
		stray := must(unix.Open("/etc/passwd", unix.O_RDONLY, 0))
		defer unix.Close(stray)
		t.Setenv("CONFINE_TEST_SECRET", "secret")

		f := look(t, h, p)
		t.Log(f.Report)
		require.Empty(t, f.Broken)
		for _, m := range p.Require {
			require.True(t, f.Report.Applied(m), "%s: %s", m, f.Report.Detail(m))
		}
		require.Len(t, f.Report.Outcomes, len(prepared)+len(entered), "every measure is reported")

		landlock := f.Report.Applied(Landlock)
		_, err := landlockVersion()
		require.Equal(t, err == nil, landlock, f.Report.Detail(Landlock))
		if err != nil {
			require.Contains(t, f.Report.Detail(Landlock), "CONFIG_SECURITY_LANDLOCK")
		}
		const eperm, eacces, allowed = "EPERM", "EACCES", "allowed"
		for name, got := range f.Results {
			switch name {
			case "open /etc/shadow":
				require.Contains(t, []string{eacces, "ENOENT"}, got, name)
			case "open /etc/passwd": // it is the process's own
				if p.Without == nil {
					require.Equal(t, allowed, got, name)
				} else if landlock {
					require.Equal(t, eacces, got, name)
				}
			case "read " + other, "open /proc/self/net/tcp", "open /proc/self/mountinfo":
				if landlock {
					require.Contains(t, []string{eacces, "ENOENT"}, got, name)
				}
			case "open supervisor's environment", "open /proc/1/environ", "write in /", "write in /run", "write in /home":
				if landlock || isRoot() {
					require.Contains(t, []string{eacces, "ENOENT", "EROFS"}, got, name)
				}
			case "write in /var/tmp", "write in /dev/shm":
				if p.Without == nil {
					require.Equal(t, allowed, got, name)
				} else if landlock {
					require.Contains(t, []string{eacces, "ENOENT"}, got, name)
				}
			case "affinity of a thread":
				if p.Without == nil {
					require.Equal(t, allowed, got, name)
				} else {
					require.Equal(t, eperm, got, name)
				}
			case "utimes": // of a file that others may write
				if !isRoot() {
					require.Equal(t, eperm, got, name)
				}
			case "chmod", "chown", "chmod of an open file":
				require.Contains(t, []string{eperm, "ENOENT", "EROFS"}, got, name)
			case "write " + file:
				if landlock {
					require.Contains(t, []string{eacces, "EROFS"}, got, name)
				}
			case "read " + file, "read library", "dev null", "read /proc/self/status", "read /proc/cpuinfo", "read /sys/devices/system/cpu/online", "read /usr/share", "socketpair", "named pipe", "memory file by name", "write /tmp",
				"kill self", "tgkill self", "prlimit of self", "fcntl F_GETFL", "prctl no_new_privs":
				require.Equal(t, allowed, got, name)
			case "dial":
				require.Contains(t, got, eperm, name)
			case "clone3", "unknown call":
				require.Equal(t, "ENOSYS", got, name)
			case "core limit", "dumpable":
				require.Equal(t, "0", got)
			default:
				if strings.HasPrefix(name, "write /") { // TMPDIR
					require.Equal(t, allowed, got, name)
					continue
				}
				require.Equal(t, eperm, got, name)
			}
		}
		want := "EPERM EACCES"
		switch {
		case p.Without == nil:
			want = "EPERM ENOENT"
		case !landlock:
			want = "EPERM allowed"
		}
		require.Equal(t, map[string]string{want: "16"}, f.Threads, "on all threads")
		require.Greater(t, f.SID, 0)

		for _, d := range f.Before {
			require.NotContains(t, d, "/etc/passwd", "inherited descriptors: %v", f.Before)
		}
		require.NotContains(t, strings.Join(f.Env, "\n"), "SECRET")
		require.Contains(t, f.Env, "HOME="+must(tmpOf(f.Env)))
		if isRoot() {
			require.True(t, f.Report.Applied(UID))
		} else {
			require.Contains(t, f.Report.Detail(UID), "run the supervisor as root")
		}
		if p.Without != nil {
			require.Equal(t, errNotWanted.Error(), f.Report.Detail(Namespaces))
		}
	})
}

func TestMemoryBomb(t *testing.T) {
	h := newHost(t)
	needGroup(t, h, "memory")
	p := policyFor(h)
	p.MemoryBytes = 1 << 30
	r := launch(t, h, "memory-bomb", p).ready(t)
	require.NoError(t, r.SetMemory(64<<20))
	neighbour := launch(t, h, "enter", p).ready(t)
	require.NoError(t, r.in.Close()) // then it allocates
	status := r.end(t).Sys().(syscall.WaitStatus)
	require.True(t, status.Signaled() && status.Signal() == unix.SIGKILL, "%v %s", r.cmd.ProcessState, r.errs)
	usage, err := r.Close()
	require.NoError(t, err)
	require.Positive(t, usage.OOMKills)
	require.Zero(t, neighbour.Usage().OOMKills)
	require.NoError(t, neighbour.in.Close())
	require.True(t, neighbour.end(t).Success())
}

func TestForkBomb(t *testing.T) {
	ways(t, func(t *testing.T, h *Host, p Policy) {
		needGroup(t, h, "pids")
		p.Tasks = 40
		p.Require = []Measure{TaskLimit}
		p.Without = append(p.Without, CPULimit)
		neighbour := launch(t, h, "enter", p).ready(t)
		r := launch(t, h, "fork-bomb", p)
		line, err := r.out.ReadString('\n')
		require.NoError(t, err, r.errs)
		started, refused := 0, 0
		must(fmt.Sscan(line, &started, &refused))
		require.Less(t, started, 40)
		require.Positive(t, refused)
		require.Positive(t, r.Usage().TasksRefused)
		require.NoError(t, r.Kill())
		r.end(t)
		for _, g := range r.groups {
			require.Empty(t, must(os.ReadFile(filepath.Join(g.dir, "cgroup.procs"))))
		}
		must(r.Close())
		require.NoError(t, neighbour.in.Close())
		require.True(t, neighbour.end(t).Success(), "the neighbour is unharmed")
	})
}

func TestForeignABI(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("only amd64 has several kernel interfaces that this test can call")
	}
	for _, abi := range []string{"i386", "x32"} {
		t.Run(abi, func(t *testing.T) {
			h := newHost(t)
			p := policyFor(h)
			p.Env = []string{"CONFINE_TEST_ABI=" + abi}
			r := launch(t, h, "foreign-abi", p)
			text := must(io.ReadAll(r.out))
			status := r.end(t).Sys().(syscall.WaitStatus)
			if abi == "i386" && !status.Signaled() && strings.Contains(r.errs.String(), "SIGSEGV") {
				t.Skip("the kernel has no interface for 32 bits")
			}
			require.True(t, status.Signaled() && status.Signal() == unix.SIGSYS, "%v %s %s", r.cmd.ProcessState, text, r.errs)
		})
	}
}

func TestRequired(t *testing.T) {
	h := newHost(t)
	h.lacking["memory"] = io.ErrUnexpectedEOF
	p := policyFor(h)
	p.Require = []Measure{MemoryLimit}
	_, err := h.Prepare(exec.Command("/proc/self/exe"), p)
	require.ErrorIs(t, err, ErrNotConfined)
	require.ErrorContains(t, err, "memory-limit is required: "+io.ErrUnexpectedEOF.Error())

	p.Require, p.Without = []Measure{Seccomp}, []Measure{Seccomp}
	r := launch(t, h, "enter", p)
	require.False(t, r.end(t).Success())
	require.Contains(t, r.errs.String(), "seccomp-filter is required: the policy excludes it")

	if !isRoot() {
		p = policyFor(h)
		p.Require = append(p.Require, UID)
		_, err = h.Prepare(exec.Command("/proc/self/exe"), p)
		require.ErrorContains(t, err, "uid is required: only root")
	}
}

func TestNotInItsGroups(t *testing.T) {
	h := newHost(t)
	needGroup(t, h, "memory")
	p := policyFor(h)
	p.Require = append(p.Require, MemoryLimit)
	p.Env = []string{scenarioName + "=enter"}
	cmd := exec.Command("/proc/self/exe")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	prepared := must(h.Prepare(cmd, p))
	prepared.closeFD()
	require.Error(t, cmd.Run()) // not by Start
	require.Contains(t, errs.String(), "memory-limit is required: the process is not in its control groups")
	must(prepared.Close())
}

func TestWithoutHost(t *testing.T) {
	run := func(env ...string) (f findings) {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(env, scenarioName+"=alone")
		require.NoError(t, json.Unmarshal(must(cmd.Output()), &f))
		return f
	}
	f := run()
	require.Equal(t, "allowed", f.Results["enter"])
	require.Equal(t, "EPERM", f.Results["socket"])
	require.Contains(t, f.Results["again"], "called before")
	require.False(t, f.Report.Applied(Session))
	require.Contains(t, f.Report.Detail(Session), "not started by a Host")
	f = run("CONFINE_TEST_REQUIRE=1")
	require.Contains(t, f.Results["enter"], "session is required")
	require.Equal(t, "allowed", f.Results["socket"], "it fails before it applies a measure")
}

// tmpOf is the folder for temporary files of an environment.
func tmpOf(env []string) (string, error) {
	for _, v := range env {
		if tmp, ok := strings.CutPrefix(v, "TMPDIR="); ok {
			return tmp, nil
		}
	}
	return "", os.ErrNotExist
}

// left lists what a Host with this name has on the machine.
func left(t *testing.T, name string) (found []string) {
	for _, h := range findHierarchies(must(mounts()), must(ownGroups())) {
		for _, base := range h.bases {
			found = append(found, must(filepath.Glob(filepath.Join(base, name)))...)
		}
	}
	for _, folder := range []string{os.TempDir(), testHost().LockFolder} {
		found = append(found, must(filepath.Glob(filepath.Join(folder, name+"*")))...)
	}
	return found
}

func TestSupervisorKilled(t *testing.T) {
	for _, without := range []string{"", "1"} {
		t.Run("without="+without, func(t *testing.T) {
			living := newHost(t)
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = append(os.Environ(), scenarioName+"=supervisor", "CONFINE_TEST_WITHOUT_NAMESPACES="+without)
			in := must(cmd.StdinPipe())
			defer in.Close()
			out := must(cmd.StdoutPipe())
			cmd.Stderr = os.Stderr
			require.NoError(t, cmd.Start())
			fields := strings.Fields(must(bufio.NewReader(out).ReadString('\n')))
			require.Len(t, fields, 4)
			before := left(t, fields[0])
			if living.lacking["memory"] == nil || without != "" {
				require.NotEmpty(t, before)
			}
			again := newHost(t) // it leaves alone what has a supervisor
			require.Equal(t, before, left(t, fields[0]))
			for _, p := range fields[1:] {
				require.True(t, exists(p))
			}
			require.NoError(t, again.Close())

			require.NoError(t, cmd.Process.Kill())
			cmd.Wait()
			// They end with it, before a sweep.
			for _, p := range fields[1:] {
				require.Eventually(t, func() bool { return !exists(p) }, 30*time.Second, time.Millisecond)
			}
			log := new(bytes.Buffer)
			cfg := testHost()
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
			startHost(t, cfg)
			require.Empty(t, left(t, fields[0]))
			if without != "" {
				require.Contains(t, log.String(), "removed temporary files")
			}
			if len(living.hostGroups) > 0 {
				require.Contains(t, log.String(), "removed control groups")
				for _, c := range living.hostGroups {
					require.DirExists(t, c.dir, "its Host is running")
				}
			}
		})
	}
}

// exists reports whether a process has not ended.
func exists(pid string) bool {
	n, err := strconv.Atoi(pid)
	return err == nil && ownerOf(n) != -1
}

func TestNothingIsLeft(t *testing.T) {
	const rounds = 100
	h := newHost(t)
	p := policyFor(h)
	p.CPUs = 1
	round := func(i int) {
		p.Without = nil
		if i%2 == 0 {
			p.Without = []Measure{Namespaces}
		}
		cmd := exec.Command("/proc/self/exe")
		p.Env = []string{scenarioName + "=wait"}
		process := must(h.Prepare(cmd, p))
		started, waited := make(chan error), make(chan struct{})
		go func() {
			started <- process.Start()
			cmd.Wait()
			close(waited)
		}()
		require.NoError(t, <-started)
		if i%3 == 0 {
			require.NoError(t, process.Kill())
		}
		must(process.Close()) // which ends it
		<-waited
	}
	round(0)
	round(1)
	count := func() (fds, mounted int) { return len(must(os.ReadDir("/proc/self/fd"))), len(must(mounts())) }
	fds, mounted := count()
	for i := range rounds {
		round(i)
	}
	fdsAfter, mountedAfter := count()
	require.LessOrEqual(t, fdsAfter, fds)
	require.Equal(t, mounted, mountedAfter)
	for _, c := range h.hostGroups {
		require.Empty(t, must(filepath.Glob(filepath.Join(c.dir, "*", "cgroup.procs"))))
	}
	require.Empty(t, must(filepath.Glob(filepath.Join(os.TempDir(), h.journal.name+"-*", "*"))))
	if h.pool != nil {
		for uid := h.pool.first; uid < h.pool.first+h.pool.count; uid++ {
			l := must(h.pool.tryTake(uid))
			require.NotNil(t, l, "%d is still taken", uid)
			l.release()
		}
		eachProcess(func(pid, uid int) {
			require.False(t, uid >= h.pool.first && uid < h.pool.first+h.pool.count, "process %d of user %d", pid, uid)
		})
	}
	name := h.journal.name
	require.NotEmpty(t, left(t, name))
	require.NoError(t, h.Close())
	require.Empty(t, left(t, name))
	// This thread, and those that started processes, are in their groups again.
	require.NotContains(t, must(ownGroups()), hostPrefix)
}

func TestUIDsAreNotShared(t *testing.T) {
	needRoot(t, "others cannot give ids away")
	folder := t.TempDir()
	a := must(newUIDPool(filepath.Join(folder, "a"), 1000, 2))
	b := must(newUIDPool(filepath.Join(folder, "a"), 1000, 2))
	one, two := must(a.take()), must(b.take())
	require.NotEqual(t, one.uid, two.uid)
	_, err := a.take()
	require.ErrorContains(t, err, "all 2 user ids from 1000 on are in use")
	one.release()
	require.Equal(t, one.uid, must(b.take()).uid)

	require.NoError(t, os.Chmod(filepath.Join(folder, "a"), 0o777))
	_, err = newUIDPool(filepath.Join(folder, "a"), 1000, 2)
	require.ErrorContains(t, err, "only this user")
	_, err = newUIDPool(folder, 0, 5)
	require.Error(t, err, "root's id is not for processes")
}

// TestUnprivileged runs tests again, without root.
func TestUnprivileged(t *testing.T) {
	if !isRoot() {
		t.Skip("the other tests already run without root")
	}
	dir := must(os.MkdirTemp("", "confine-unprivileged"))
	defer os.RemoveAll(dir)
	require.NoError(t, os.Chown(dir, 65534, 65534))
	cmd := exec.Command("/proc/self/exe", "-test.run=Forbidden|View|Programs|ForeignABI|Required|WithoutHost|Killed|NothingIsLeft|Bomb", "-test.v", "-test.timeout=120s")
	cmd.Env = []string{"TMPDIR=" + dir}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.Contains(t, string(text), "--- PASS: TestForbidden/without_namespaces")
	t.Logf("%s", text)
}

func TestReport(t *testing.T) {
	var r Report
	r.note(UID, "5", nil)
	r.note(Landlock, "", io.EOF)
	r.note(Seccomp, "", nil)
	require.Equal(t, "applied: uid (5), seccomp-filter; not applied: landlock (EOF)", r.String())
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("m", "confined", r)
	require.Contains(t, text.String(), `confined.uid="applied: 5" confined.landlock="not applied: EOF" confined.seccomp-filter=applied`)
	p := Policy{Require: []Measure{Landlock, UID}}
	require.ErrorIs(t, r.missing(&p, entered), ErrNotConfined)
	require.NoError(t, r.missing(&p, prepared))
	require.False(t, r.Applied(Namespaces), "a measure without an outcome is not applied")
}

func TestHierarchies(t *testing.T) {
	unified := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(unified, "cgroup.controllers"), []byte("cpu memory io pids\n"), 0o600))
	line := func(root, point, rest string) string {
		return "30 20 0:26 " + root + " " + point + " rw,relatime shared:4 - " + rest + "\n"
	}
	v2 := parseMounts(line("/", unified, "cgroup2 cgroup2 rw"))
	require.Equal(t, []hierarchy{{true, unified + "/a/b", []string{unified + "/a/b", unified}, []string{"cpu", "memory", "pids"}}},
		findHierarchies(v2, "0::/a/b\n"))

	v1 := parseMounts(line("/", "/c/memory", "cgroup cgroup rw,memory") + line("/docker/x", "/c/cpu,cpuacct", "cgroup cgroup rw,cpu,cpuacct") +
		line("/", "/c/my\\040pids", "cgroup cgroup rw,pids") + line("/", "/proc", "proc proc rw") +
		line("/", unified, "cgroup2 cgroup2 rw") + line("/", unified+"/again", "cgroup2 cgroup2 rw"))
	require.Equal(t, []hierarchy{
		{false, "/c/my pids", []string{"/c/my pids"}, []string{"pids"}},
		{false, "/c/memory/y", []string{"/c/memory/y", "/c/memory"}, []string{"memory"}},
		{false, "/c/cpu,cpuacct/z", []string{"/c/cpu,cpuacct/z", "/c/cpu,cpuacct"}, []string{"cpu"}},
		{true, unified + "/q", []string{unified + "/q", unified}, []string{}}, // mounted twice, found once
	}, findHierarchies(v1, "4:memory:/y\n3:cpu,cpuacct:/docker/x/z\n2:pids:/\n0::/q\n"))
	require.Equal(t, "/proc/sys", procMasked([]mount{{point: "/proc"}, {point: "/proc/sys/fs/binfmt_misc"}, {point: "/proc/sys"}}))
}

func TestFreshPIDs(t *testing.T) {
	h := newHost(t)
	needNamespaces(t, h)
	r := launch(t, h, "enter", policyFor(h)).ready(t)
	proc := "/proc/" + strconv.Itoa(r.cmd.Process.Pid) + "/"
	status := string(must(os.ReadFile(proc + "status")))
	require.Regexp(t, `NSpid:\t\d+\t1\n`, status)
	for _, line := range []string{"CapInh", "CapPrm", "CapEff", "CapAmb"} {
		require.Contains(t, status, line+":\t0000000000000000\n")
	}
	require.Contains(t, status, "NoNewPrivs:\t1\n")
	require.Equal(t, "1000\n", string(must(os.ReadFile(proc+"oom_score_adj"))))
	limits := string(must(os.ReadFile(proc + "limits")))
	require.Regexp(t, `Max open files +256 +256 `, limits)
	require.Regexp(t, `Max core file size +0 +0 `, limits)
	if isRoot() {
		require.Regexp(t, `Max processes +`+strconv.Itoa(DefaultPolicy().Tasks)+` `, limits)
	}
	tasks := must(filepath.Glob(proc + "task/*/status"))
	require.NotEmpty(t, tasks)
	for _, task := range tasks {
		status := string(must(os.ReadFile(task)))
		require.Contains(t, status, "Seccomp:\t2\n")
		require.Contains(t, status, "CapPrm:\t0000000000000000\n")
	}
}
