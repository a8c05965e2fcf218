package rxe_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// startsGuest skips a test that takes a guest's start, unless the effort is whole: the lane rxe
// runs programs in the guest anyway.
func startsGuest(t *testing.T) {
	t.Helper()
	effort.NeedWhole(t)
	t.Parallel()
	needGuest(t)
}

func TestProgramInGuest(t *testing.T) {
	startsGuest(t)
	theProgram(t, "guest", "RXE_GUEST=1")
}

// Without root on this machine the program is root in the guest all the same. It can access
// this user's files.
func TestGuestWithoutRoot(t *testing.T) {
	startsGuest(t)
	if os.Getuid() != 0 {
		t.Skip("the other tests already ran without root")
	}
	needTools(t, "setpriv")
	guest, err := exec.Command("./run", "--guest-folder").Output()
	require.NoError(t, err)
	folder, err := os.MkdirTemp("", "without-root") // t.TempDir is for this user only
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(folder, "cache"), 0o755))
	require.NoError(t, exec.Command("cp", "-r", strings.TrimSpace(string(guest)), filepath.Join(folder, "cache")).Run())
	require.NoError(t, exec.Command("cp", "run", folder).Run())
	for _, name := range []string{"tmp", "out"} {
		require.NoError(t, os.Mkdir(filepath.Join(folder, name), 0o755))
		require.NoError(t, os.Chown(filepath.Join(folder, name), 65534, 65534))
	}

	// One stream for both outputs: the order of lines is kept.
	s := prepare(t, []string{"RXE_WAY=guest", "RXE_CACHE=" + folder + "/cache", "RXE_OUT=out", "TMPDIR=" + folder + "/tmp", "HOME=" + folder},
		"bash", "-c", `cd /; id -u > $RXE_OUT/user; cat "/sys/class/infiniband/$RXE_DEVICE/ports/1/state" > $RXE_OUT/state
for i in {1..500}; do echo "out $i"; echo "err $i" >&2; done; exit 7`)
	s.Path, s.Args = lookPath(t, "setpriv"), append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", folder + "/run"}, s.Args[1:]...)
	s.Dir, s.Stderr = folder, s.Stdout
	require.Equal(t, 7, s.status(), tail(&s.stdout))
	var want strings.Builder
	for i := 1; i <= 500; i++ {
		fmt.Fprintf(&want, "out %d\nerr %d\n", i, i)
	}
	require.Equal(t, want.String(), s.stdout.String())
	for name, want := range map[string]string{"user": "0\n", "state": "4: ACTIVE\n"} {
		got, err := os.ReadFile(filepath.Join(folder, "out", name))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
	}
	eventually(t, func() bool { return isEmpty(t, folder+"/tmp") }, "the run's folder is not deleted")
}

func lookPath(t *testing.T, tool string) string {
	path, err := exec.LookPath(tool)
	require.NoError(t, err)
	return path
}

func TestGuestPanics(t *testing.T) {
	startsGuest(t)
	console := filepath.Join(t.TempDir(), "console")
	s := prepare(t, []string{"RXE_WAY=guest", "RXE_CPUS=1", "RXE_CONSOLE=" + console}, "sh", "-c", "echo before; sleep 1; echo c > /proc/sysrq-trigger; sleep 10000")
	require.Equal(t, 125, s.status())
	require.Equal(t, "before\n", s.stdout.String())
	require.Contains(t, s.stderr.String(), "the guest's kernel panicked")
	require.Contains(t, s.stderr.String(), "sysrq triggered crash", "the end of the console is shown")
	content, err := os.ReadFile(console)
	require.NoError(t, err)
	require.Contains(t, string(content), "Kernel panic")
}

func TestGuestThatEndsItself(t *testing.T) {
	startsGuest(t)
	s := prepare(t, []string{"RXE_WAY=guest", "RXE_CPUS=1"}, "sh", "-c", "echo o > /proc/sysrq-trigger; sleep 10000")
	require.Equal(t, 125, s.status())
	require.Contains(t, s.stderr.String(), "the guest ended before the program")
}

func TestTimeLimitOfGuest(t *testing.T) {
	startsGuest(t)
	folder := t.TempDir()
	s := prepare(t, []string{"RXE_WAY=guest", "RXE_CPUS=1", "RXE_TIMEOUT=12", "TMPDIR=" + folder}, "sleep", "10000")
	require.Equal(t, 124, s.status())
	require.Contains(t, s.stderr.String(), "the program did not end within 12 s (RXE_TIMEOUT)")
	eventually(t, func() bool { return isEmpty(t, folder) }, "the run's folder is not deleted")
}

func TestTimeLimitOfStart(t *testing.T) {
	t.Parallel()
	needGuest(t)
	s := prepare(t, []string{"RXE_WAY=guest", "RXE_BOOT_TIMEOUT=1"}, "true")
	require.Equal(t, 125, s.status())
	require.Contains(t, s.stderr.String(), "the guest did not start within 1 s (RXE_BOOT_TIMEOUT)")
}

func TestGuestFailures(t *testing.T) {
	startsGuest(t)
	s := prepare(t, []string{"RXE_WAY=guest", "RXE_CPUS=1", "RXE_MODULES=ifb no_such_module"}, "true")
	require.Equal(t, 125, s.status())
	require.Contains(t, s.stderr.String(), "cannot load the modules of RXE_MODULES=ifb no_such_module")
	require.Contains(t, s.stderr.String(), "Module no_such_module not found")

	s = prepare(t, []string{"RXE_WAY=guest", "RXE_MEMORY=64T"}, "true")
	require.Equal(t, 125, s.status())
	require.Contains(t, s.stderr.String(), "memory", "what QEMU said")
}

// Modules are loaded with those that they need, in either spelling of their names.
func TestModulesWithDependencies(t *testing.T) {
	startsGuest(t)
	s := prepare(t, []string{"RXE_WAY=guest", "RXE_CPUS=1", "RXE_MODULES=virtio-net macvlan"}, "cat", "/proc/modules")
	require.Equal(t, 0, s.status(), tail(&s.stderr))
	for _, module := range []string{"virtio_net", "net_failover", "failover", "macvlan"} {
		require.Regexp(t, `(?m)^`+module+` `, s.stdout.String())
	}
}

// When the script ends, by SIGKILL too, the guest ends, and nothing is left.
func TestScriptIsKilled(t *testing.T) {
	startsGuest(t)
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			s := prepare(t, []string{"RXE_WAY=guest", "RXE_CPUS=1", "TMPDIR=" + folder}, "sh", "-c", "echo ready; sleep 10000")
			if signal == syscall.SIGKILL {
				s.startAndAwait("ready") // output comes while the program runs
			} else {
				require.NoError(t, s.Start())
				eventually(t, func() bool { return children(t, s.Process.Pid)["qemu-system-x86"] != 0 }, "no guest is started")
			}
			started := children(t, s.Process.Pid)
			require.Contains(t, started, "qemu-system-x86")
			require.NoError(t, s.Process.Signal(signal))
			if signal == syscall.SIGKILL {
				s.Wait()
			} else {
				require.Equal(t, 128+int(signal), s.status())
			}
			eventually(t, func() bool { return !alive(started["qemu-system-x86"]) }, "the guest has not ended")
			for name, process := range started {
				eventually(t, func() bool { return !alive(process) }, "left behind: "+name)
			}
			eventually(t, func() bool { return isEmpty(t, folder) }, "the run's folder is not deleted")
		})
	}
}
