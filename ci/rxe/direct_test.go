package rxe_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
)

// TestOnThisMachine tests the way without a guest: on this machine if its kernel has the
// driver, else in a guest.
func TestOnThisMachine(t *testing.T) {
	way := prepare(t, nil, "--way")
	require.Equal(t, 0, way.status(), &way.stderr)
	if way.stdout.String() != "direct\n" || os.Getuid() != 0 {
		effort.NeedWhole(t)
		needGuest(t)
		t.Parallel()
		self, err := os.Executable()
		require.NoError(t, err)
		s := prepare(t, []string{"RXE_WAY=guest", "RXE_CPUS=2"}, "sh", "-c",
			`ip netns delete peer && modprobe -r rdma_rxe && exec env -u RXE_DEVICE "$0" -test.run='^TestOnThisMachine$' -test.v`, self)
		require.Equal(t, 0, s.status(), "%s\n%s", &s.stdout, &s.stderr)
		require.NotContains(t, s.stdout.String(), "SKIP")
		require.Contains(t, s.stdout.String(), "--- PASS: TestOnThisMachine/two_at_once")
		return
	}
	if os.Getenv("RXE_DEVICE") != "" {
		t.Skip("this is inside of a run, which has the devices")
	}

	modules := loadedModules(t)
	undone := func(t *testing.T, folder string) {
		t.Helper()
		for _, path := range []string{"/sys/class/net/v0", "/sys/class/infiniband/rxe0", "/sys/class/infiniband/rxe1", "/run/netns/peer"} {
			eventually(t, func() bool { _, err := os.Stat(path); return os.IsNotExist(err) }, path+" is left")
		}
		eventually(t, func() bool { return loadedModules(t) == modules }, "modules are left that the run loaded")
		eventually(t, func() bool { return isEmpty(t, folder) }, "the run's folder is not deleted")
	}

	t.Run("program", func(t *testing.T) {
		folder := t.TempDir()
		t.Setenv("TMPDIR", folder)
		theProgram(t, "direct")
		undone(t, folder)
	})

	// So that the other runs do not load and unload it each time.
	if err := exec.Command("modprobe", "rdma_rxe").Run(); err == nil && !strings.Contains(modules, "rdma_rxe") {
		t.Cleanup(func() { exec.Command("modprobe", "-r", "rdma_rxe").Run() })
	}
	modules = loadedModules(t)

	t.Run("two devices", func(t *testing.T) {
		folder := t.TempDir()
		rules := ipv6Rules(t)
		theCable(t, "direct", "TMPDIR="+folder)
		undone(t, folder)
		require.Equal(t, rules, ipv6Rules(t))

		s := prepare(t, []string{"RXE_WAY=direct", "RXE_DEVICES=2", "TMPDIR=" + folder}, "echo", "ran")
		filter := "/proc/sys/net/ipv4/conf/all/rp_filter"
		before, err := os.ReadFile(filter)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filter, []byte("1"), 0o644))
		t.Cleanup(func() { os.WriteFile(filter, before, 0o644) })
		require.Equal(t, 125, s.status())
		require.Contains(t, s.stderr.String(), "net.ipv4.conf.all.rp_filter=1 drops what crosses the cable")
		undone(t, folder)
	})

	t.Run("time limit", func(t *testing.T) {
		folder, out := t.TempDir(), t.TempDir()
		s := prepare(t, []string{"RXE_TIMEOUT=2", "TMPDIR=" + folder, "RXE_OUT=" + out}, "sh", "-c",
			`trap "" TERM; sleep 10000 & echo $! > "$RXE_OUT/child"; wait`)
		require.Equal(t, 124, s.status(), tail(&s.stderr))
		require.Contains(t, s.stderr.String(), "the program did not end within 2 s (RXE_TIMEOUT)")
		undone(t, folder)
		require.False(t, alive(childOf(t, out)), "a process of the program is left")
	})

	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			folder, out := t.TempDir(), t.TempDir()
			rules := ipv6Rules(t)
			s := prepare(t, []string{"TMPDIR=" + folder, "RXE_OUT=" + out, "RXE_DEVICES=2"}, "sh", "-c", `sleep 10000 & echo $! > "$RXE_OUT/child"; echo ready; wait`)
			s.startAndAwait("ready")
			child := childOf(t, out)
			require.True(t, alive(child))
			require.NoError(t, s.Process.Signal(signal))
			if signal == syscall.SIGKILL {
				s.Wait()
			} else {
				require.Equal(t, 128+int(signal), s.status())
			}
			undone(t, folder)
			require.Equal(t, rules, ipv6Rules(t))
			eventually(t, func() bool { return !alive(child) }, "a process of the program is left")
		})
	}

	t.Run("two at once", func(t *testing.T) {
		folder := t.TempDir()
		var wait sync.WaitGroup
		for range 2 {
			s := prepare(t, []string{"TMPDIR=" + folder}, "sh", "-c", "cat /sys/class/infiniband/rxe0/ports/1/state; sleep 1; cat /sys/class/infiniband/rxe0/ports/1/state; exit 3")
			require.NoError(t, s.Start())
			wait.Go(func() {
				s.Wait()
			})
			t.Cleanup(func() {
				require.Equal(t, 3, s.ProcessState.ExitCode(), tail(&s.stderr))
				require.Equal(t, "4: ACTIVE\n4: ACTIVE\n", s.stdout.String())
			})
		}
		wait.Wait()
		undone(t, folder)
	})

	t.Run("name is taken", func(t *testing.T) {
		folder := t.TempDir()
		require.NoError(t, exec.Command("ip", "netns", "add", "peer").Run())
		s := prepare(t, []string{"RXE_WAY=direct", "TMPDIR=" + folder}, "echo", "ran")
		require.Equal(t, 125, s.status())
		require.Contains(t, s.stderr.String(), "peer exists already")
		require.Empty(t, s.stdout.String())
		require.FileExists(t, "/run/netns/peer", "the run did not create it")
		require.NoError(t, exec.Command("ip", "netns", "delete", "peer").Run())
		undone(t, folder)
	})

	t.Run("another network namespace", func(t *testing.T) {
		folder := t.TempDir()
		require.NoError(t, exec.Command("ip", "netns", "add", "elsewhere").Run())
		t.Cleanup(func() { exec.Command("ip", "netns", "delete", "elsewhere").Run() })
		s := prepare(t, []string{"RXE_WAY=direct", "TMPDIR=" + folder}, "echo", "ran")
		s.Path, s.Args = lookPath(t, "ip"), append([]string{"ip", "netns", "exec", "elsewhere", s.Path}, s.Args[1:]...)
		require.Equal(t, 125, s.status(), &s.stdout)
		require.Contains(t, s.stderr.String(), "serves another network namespace")
		undone(t, folder)
	})

	t.Run("without root", func(t *testing.T) {
		command := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-s", "--", "--way")
		script, err := os.ReadFile("run")
		require.NoError(t, err)
		command.Stdin, command.Env = bytes.NewReader(script), environment()
		way, err := command.Output()
		require.NoError(t, err)
		require.Equal(t, "guest\n", string(way))
	})
}

// If the driver cannot be loaded, the run reports that and undoes its steps.
func TestDirectWithoutDriver(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lacking(t, "root")
	}
	if os.Getenv("RXE_DEVICE") != "" {
		t.Skip("this is inside of a run, which has the devices")
	}
	needTools(t, "setpriv", "flock")
	bin, folder := t.TempDir(), t.TempDir()
	log := filepath.Join(t.TempDir(), "log")
	for _, tool := range []string{"ip", "rdma"} {
		fake(t, bin, tool, `echo `+tool+` "$@" >> '`+log+`'`)
	}
	fake(t, bin, "modprobe", `echo modprobe "$@" >> '`+log+`'; echo "modprobe: no $1" >&2; exit 1`)
	s := prepare(t, []string{"RXE_WAY=direct", "TMPDIR=" + folder, "PATH=" + bin + ":" + os.Getenv("PATH")}, "echo", "ran")
	require.Equal(t, 125, s.status(), &s.stderr)
	require.Equal(t, "modprobe: no rdma_rxe\nci/rxe/run: cannot load the module rdma_rxe\n", s.stderr.String())
	require.Empty(t, s.stdout.String())
	content, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Regexp(t, `(?s)^modprobe rdma_rxe\n.*rdma link delete rxe0\n.*ip link delete v0\n.*modprobe -r `, string(content), "undone before it ends")
	eventually(t, func() bool { return isEmpty(t, folder) }, "the run's folder is not deleted")
}

func ipv6Rules(t *testing.T) string {
	t.Helper()
	rules, err := exec.Command("ip", "-6", "rule").Output()
	require.NoError(t, err)
	return string(rules)
}

func loadedModules(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("/proc/modules")
	require.NoError(t, err)
	var names []string
	for line := range strings.Lines(string(content)) {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	return strings.Join(names, "\n")
}

// childOf is the process whose id a program has written to the folder.
func childOf(t *testing.T, folder string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(folder, "child"))
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(string(content)))
	require.NoError(t, err)
	return child
}
