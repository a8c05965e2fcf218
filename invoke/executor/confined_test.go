package executor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// What hostile code may attempt, in Go; cmd/rfaas has the same in C.
func init() {
	attempt := func(name string, try func() error) {
		functions[name] = func(_ context.Context, _, out []byte) (int, error) {
			err := try()
			errno, ok := errors.AsType[syscall.Errno](err)
			if !ok {
				return copy(out, fmt.Sprint(err)), nil
			}
			return copy(out, unix.ErrnoName(errno)), nil
		}
	}
	attempt("shadow", func() error { _, err := os.ReadFile("/etc/shadow"); return err })
	attempt("connect", func() error { _, err := net.Dial("tcp", "127.0.0.1:1"); return err })
	attempt("kill", func() error { return syscall.Kill(-1, syscall.SIGKILL) })
	attempt("start", func() error { return exec.Command("/proc/self/exe").Start() })
	attempt("environment", func() error { return errors.New(os.Getenv("PATH")) })
	const beyond = 256 << 20 // all limits of TestConfinedExcess
	forever := func(take func() error) invoke.Function {
		return func(context.Context, []byte, []byte) (int, error) {
			if err := take(); err != nil {
				return 0, err
			}
			select {}
		}
	}
	functions["shared memory"] = forever(func() error {
		mem, err := unix.Mmap(-1, 0, beyond, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
		for i := 0; i < len(mem); i += 4096 {
			mem[i] = 1
		}
		return err
	})
	piece := make([]byte, 1<<20)
	fill := func(fd, bytes int) (err error) {
		for n := 0; err == nil && n < bytes; n += len(piece) {
			_, err = unix.Write(fd, piece)
		}
		return err
	}
	functions["memory file"] = forever(func() error {
		fd, err := unix.MemfdCreate("more", 0)
		return errors.Join(err, fill(fd, beyond))
	})
	functions["threads"] = forever(func() error {
		for range 60 { // their stacks are within the limit of data
			go func() {
				goruntime.LockOSThread()
				select {}
			}()
		}
		return nil
	})
	functions["temporary files"] = forever(func() error {
		for i := range 4 {
			f, err := os.Create(filepath.Join(os.TempDir(), fmt.Sprint(i)))
			if err != nil {
				return err
			}
			if err := errors.Join(fill(int(f.Fd()), beyond/4), f.Close()); err != nil {
				return err
			}
		}
		return nil
	})
	functions["deleted file"] = forever(func() error {
		f, err := os.Create(filepath.Join(os.TempDir(), "deleted"))
		if err != nil {
			return err
		}
		return errors.Join(os.Remove(f.Name()), fill(int(f.Fd()), beyond))
	})
	functions["all memory"] = func(context.Context, []byte, []byte) (int, error) {
		const part = 16 << 20
		for range 64 { // far more than the assignment allows, with all that confine adds; less than the policy does
			mem, err := unix.Mmap(-1, 0, part, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
			if err != nil {
				return 0, err
			}
			for i := 0; i < part; i += 4096 {
				mem[i] = 1
			}
		}
		return 0, nil
	}
}

// confined is a policy that this machine and user can carry out, without some measures.
func confined(without ...confine.Measure) *confine.Policy {
	p := confine.DefaultPolicy()
	p.Without = without
	p.Require = slices.DeleteFunc(p.Require, func(m confine.Measure) bool { return slices.Contains(without, m) })
	return &p
}

func confinedAssignment(name string) Assignment {
	a := assignmentOf(name)
	a.MemoryBytes = 64 << 20
	return a
}

// A confined executor can serve calls, and nothing else.
func TestConfinedAttempts(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Confine: confined(), Spares: 1})
	for function, want := range map[string]string{
		"shadow": "EACCES", "connect": "EPERM", "kill": "EPERM", "start": "EPERM", "environment": "", "echo": "hello",
	} {
		e := begin(t, s, confinedAssignment(function))
		report, ok := e.Confinement()
		require.True(t, ok)
		for _, m := range confined().Require {
			require.True(t, report.Applied(m), report)
		}
		if report.Applied(confine.MemoryLimit) {
			const slots = 4 * 2 * 4096 // clients x slots x bytes, for inputs and as much for results
			require.Contains(t, report.Detail(confine.MemoryLimit), fmt.Sprint(64<<20+ownBytes+2*slots))
		}
		got := mustCall(t, e, function, "hello")
		if got == "ENOENT" && report.Applied(confine.Namespaces) {
			got = "EACCES" // it is not in the root directory
		}
		require.Equal(t, want, got, function)
		e.Stop(patience)
	}
}

// Payloads beyond the slots do not count to the memory of the code.
func TestConfinedPayloads(t *testing.T) {
	t.Parallel()
	const half = 96 << 20
	s := supervise(t, Config{Confine: confined(), Spares: 1})
	a := confinedAssignment("echo")
	a.MemoryBytes, a.PayloadBytes = 1<<20, 2*half
	e := begin(t, s, a)
	c := dial(t, e, "shm:")
	f, err := c.Function(t.Context(), "echo")
	require.NoError(t, err)
	b, err := c.NewBuffer(half, half)
	require.NoError(t, err)
	in := bytes.Repeat([]byte("0123456789abcdef"), half/16)
	copy(b.In(), in)
	out, err := b.Call(t.Context(), f, half)
	require.NoError(t, err)
	require.True(t, bytes.Equal(in, out))
	_, err = c.NewBuffer(half+1, half)
	require.ErrorIs(t, err, invoke.ErrTooLarge)

	_, err = dial(t, begin(t, s, confinedAssignment("echo")), "shm:").NewBuffer(4097, 0)
	require.ErrorIs(t, err, invoke.ErrTooLarge)
}

// The native runtime has a result in memory of its own, too.
func TestMemoryLimitOfPayloads(t *testing.T) {
	t.Parallel()
	for kind, copies := range map[string]int64{runtime.Go: 2, runtime.Wasm: 2, runtime.Native: 3} {
		a := Assignment{Runtime: kind, MemoryBytes: 1 << 20, Slots: 1, SlotBytes: 4096}
		before := a.memoryLimit(0)
		a.PayloadBytes = 5 << 20
		require.Equal(t, before+copies*5<<20, a.memoryLimit(0), kind)
	}
}

// An executor that does not report its isolation gets no client.
func TestNotConfined(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Confine: confined(), Command: []string{ThisProgram, "careless"}})
	_, err := s.Start(t.Context(), Order{Assignment: assignmentOf("echo")})
	require.ErrorIs(t, err, confine.ErrNotConfined)
}

// A confined executor has the same fate as another one, with the kernel's reasons.
func TestConfinedFates(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Confine: confined(), Spares: 1})
	for _, c := range []struct {
		function string
		want     Fate
		status   error
	}{
		{"exit", Fate{Cause: Exited, ExitStatus: 3}, invoke.ErrCrashed},
		{"segv", Fate{Cause: Signaled, Signal: syscall.SIGSEGV}, invoke.ErrCrashed},
		{"all memory", Fate{Cause: OutOfMemory, Signal: syscall.SIGKILL, MemoryBytes: 64 << 20}, invoke.ErrCrashed},
	} {
		e := begin(t, s, confinedAssignment(c.function))
		report, _ := e.Confinement()
		if c.want.Cause == OutOfMemory && !report.Applied(confine.MemoryLimit) { // only root may make control groups
			require.True(t, report.Applied(confine.ResourceLimit), report)
			_, err := call(t, e, c.function, "")
			require.ErrorContains(t, err, "cannot allocate memory")
			continue
		}
		_, err := call(t, e, c.function, "")
		require.ErrorIs(t, err, invoke.ErrWorkerGone)
		c.want.Function = c.function
		f := e.Lost(t.Context())
		require.Equal(t, c.want, f)
		require.ErrorIs(t, f.Err(), c.status)
		require.NoError(t, e.remains)
	}
}

// Without control groups, too, a spare gets the assignment's memory limit.
func TestConfinedWithoutGroups(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Confine: confined(confine.MemoryLimit, confine.SwapLimit), Spares: 1})
	awaitSpares(t, s, 1)
	e := begin(t, s, confinedAssignment("all memory"))
	report, _ := e.Confinement()
	const slots, stacks = 4 * 2 * 4096, 512 << 20
	require.Contains(t, report.Detail(confine.ResourceLimit), fmt.Sprint("data ", 64<<20+ownBytes+2*slots+stacks))
	_, err := call(t, e, "all memory", "")
	require.ErrorContains(t, err, "cannot allocate memory")
}

// Without control groups and namespaces, an executor is killed when it exceeds its limits of
// shared memory, threads or temporary files.
func TestConfinedExcess(t *testing.T) {
	t.Parallel()
	policy := confined(confine.MemoryLimit, confine.SwapLimit, confine.TaskLimit, confine.Namespaces)
	policy.Tasks = 50
	s := supervise(t, Config{Confine: policy})
	for function, want := range map[string]Fate{
		"shared memory":   {Cause: OutOfMemory, MemoryBytes: 64 << 20},
		"memory file":     {Cause: OutOfMemory, MemoryBytes: 64 << 20},
		"threads":         {Cause: LimitExceeded, Excess: "threads, of 50"},
		"temporary files": {Cause: LimitExceeded, Excess: "bytes of temporary files, of 67108864"},
		"deleted file":    {Cause: LimitExceeded, Excess: "bytes of temporary files, of 67108864"},
	} {
		switch root := os.Getuid() == 0; {
		case (function == "memory file" || function == "deleted file") && !root:
			continue // they cannot be seen
		case function == "threads" && root:
			want = Fate{Cause: Exited} // a user of its own has a resource limit, at which Go exits
		}
		e := begin(t, s, confinedAssignment(function))
		_, err := call(t, e, function, "")
		require.ErrorIs(t, err, invoke.ErrWorkerGone, function)
		f := e.Lost(t.Context())
		require.Equal(t, want.Cause, f.Cause, f)
		require.Equal(t, want.MemoryBytes, f.MemoryBytes, f)
		require.Contains(t, f.String(), want.Excess)
		require.NoError(t, e.remains)
	}
}

// awaitSpares waits until n spares are ready, and returns the first.
func awaitSpares(t *testing.T, s *Supervisor, n int) *Executor {
	t.Helper()
	require.Eventually(t, func() bool { return s.Spares() == n }, patience, time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spares[0]
}

// A spare takes an assignment that its confinement allows; another one gets a new executor.
func TestSpareFits(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Confine: confined(), Spares: 1})
	more := assignmentOf("echo")
	more.MemoryBytes = 2 * s.cfg.Confine.MemoryBytes
	folder := assignmentOf("echo")
	folder.Directories = []Directory{{Guest: "/x", Host: "/usr"}}
	groups := os.Getuid() == 0
	for i, c := range []struct {
		a     Assignment
		spare bool
	}{{assignmentOf("echo"), true}, {confinedAssignment("echo"), true}, {more, groups}, {folder, false}} {
		spare := awaitSpares(t, s, 1)
		e := begin(t, s, c.a)
		require.Equal(t, c.spare, e == spare, i)
		report, _ := e.Confinement()
		if want := c.a.memoryLimit(s.cfg.Confine.MemoryBytes); groups {
			require.Contains(t, report.Detail(confine.MemoryLimit), fmt.Sprint(want, " bytes"))
		} else {
			require.Contains(t, report.Detail(confine.ResourceLimit), fmt.Sprint("data ", want+512<<20))
		}
		e.Stop(patience)
	}
	folder.Directories[0].Host = "usr"
	_, err := s.Start(t.Context(), Order{Assignment: folder})
	require.ErrorContains(t, err, `the directory "usr": give an absolute path`)
	folder.Directories[0].Host = "/nowhere"
	_, err = s.Start(t.Context(), Order{Assignment: folder})
	require.ErrorContains(t, err, "a path of the policy")
	require.ErrorContains(t, err, "/nowhere: no such file or directory")
}
