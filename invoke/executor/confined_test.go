package executor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// What an executor does to others, in Go; cmd/rfaas has the same in C.
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
	attempt("environment", func() error { return errors.New(os.Getenv("HOME")) })
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

// confined is a policy that this machine and user can carry out.
func confined() *confine.Policy {
	p := confine.DefaultPolicy()
	return &p
}

func confinedAssignment(name string) Assignment {
	a := own1(name)
	a.MemoryBytes = 64 << 20
	return a
}

// An executor can do its work and nothing else.
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
		out, err := call(t, e, function, "hello")
		require.NoError(t, err)
		require.Equal(t, want, out, function)
		e.Stop(patience)
	}
}

// An executor that does not say how it is isolated gets no client.
func TestNotConfined(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{Confine: confined(), Command: []string{ThisProgram, "careless"}})
	_, err := s.Start(t.Context(), Order{Assignment: own1("echo"), Core: AnyCore})
	require.ErrorIs(t, err, confine.ErrNotConfined)
}

// Whatever ends it, a confined executor has the same fate as another one, and the
// kernel's reasons are told.
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
