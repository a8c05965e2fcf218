package rxe_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// prepareWithFakeQEMU prepares a run in a guest that never starts: its files are empty, and
// QEMU is this shell script, in which $run is the folder that the run shares with it. It returns
// the folder in which the run makes its temporary one.
func prepareWithFakeQEMU(t *testing.T, qemu string, tools map[string]string, variables []string, arguments ...string) (*script, string) {
	t.Helper()
	needAmd64Debian(t)
	needTools(t, "modprobe", "ip", "rdma", "setpriv", "flock")
	bin, cache, temporary := t.TempDir(), t.TempDir(), t.TempDir()
	fake(t, bin, "qemu-system-x86_64", `run=$(printf '%s\n' "$@" | sed -n 's/^local,id=run,path=\(.*\),security_model.*/\1/p')
echo "QEMU says this" >&2
`+qemu)
	for name, text := range tools {
		fake(t, bin, name, text)
	}
	variables = append([]string{"RXE_WAY=guest", "RXE_CACHE=" + cache, "TMPDIR=" + temporary, "PATH=" + bin + ":" + os.Getenv("PATH")}, variables...)
	folder := prepare(t, variables, "--guest-folder")
	require.Equal(t, 0, folder.status())
	guest := strings.TrimSpace(folder.stdout.String())
	require.NoError(t, os.MkdirAll(guest, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(guest, "kernel"), nil, 0o644))
	sums := fmt.Sprintf("%x  ./kernel\n", sha256.Sum256(nil))
	require.NoError(t, os.WriteFile(filepath.Join(guest, "SHA256SUMS"), []byte(sums), 0o644))
	return prepare(t, variables, arguments...), temporary
}

// saysWhatEndedQEMU checks the end of a run whose QEMU has ended.
func (s *script) saysWhatEndedQEMU(why, temporary string) {
	s.t.Helper()
	require.Equal(s.t, 125, s.status(), &s.stderr)
	lines := strings.Split(s.stderr.String(), "\n")
	require.Equal(s.t, "ci/rxe/run: "+why+"; what QEMU said, and the end of the guest's console:", lines[0])
	require.Equal(s.t, []string{"QEMU says this", ""}, lines[1:])
	eventually(s.t, func() bool { return isEmpty(s.t, temporary) }, "the run's folder is not deleted")
}

// The end of QEMU is noticed at once, not at the time limit.
func TestQEMUIsKilled(t *testing.T) {
	t.Parallel()
	limit := []string{"RXE_TIMEOUT=60"}
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGSEGV, syscall.SIGTERM} {
		name := map[syscall.Signal]string{syscall.SIGKILL: "KILL", syscall.SIGSEGV: "SEGV", syscall.SIGTERM: "TERM"}[signal]
		why := fmt.Sprintf("QEMU was ended by signal %d (%s)", signal, name)
		t.Run(name+" while it starts", func(t *testing.T) {
			t.Parallel()
			s, temporary := prepareWithFakeQEMU(t, "kill -"+name+" $$", nil, limit, "true")
			s.saysWhatEndedQEMU(why, temporary)
		})
		t.Run(name+" as the program starts", func(t *testing.T) {
			t.Parallel()
			s, temporary := prepareWithFakeQEMU(t, `: > "$run/started"; kill -`+name+" $$", nil, limit, "true")
			s.saysWhatEndedQEMU(why, temporary)
		})
		t.Run(name+" while the program runs", func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "process")
			s, temporary := prepareWithFakeQEMU(t, `echo $$ > '`+file+`'; : > "$run/started"; exec sleep 1000`, nil, limit, "true")
			require.NoError(t, s.Start())
			eventually(t, func() bool { return children(t, s.Process.Pid)["timeout"] != 0 }, "the run does not wait for the program")
			started := children(t, s.Process.Pid)
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			process, err := strconv.Atoi(strings.TrimSpace(string(text)))
			require.NoError(t, err)
			require.NoError(t, syscall.Kill(process, signal))
			s.saysWhatEndedQEMU(why, temporary)
			for name, process := range started {
				eventually(t, func() bool { return !alive(process) }, "left behind: "+name)
			}
		})
	}
}

func TestQEMUEndsByItself(t *testing.T) {
	t.Parallel()
	for _, started := range []string{"", `: > "$run/started"; `} {
		s, temporary := prepareWithFakeQEMU(t, started+"exit 3", nil, nil, "true")
		s.saysWhatEndedQEMU("QEMU ended with status 3", temporary)
		s, temporary = prepareWithFakeQEMU(t, started+"exit 0", nil, nil, "true")
		s.saysWhatEndedQEMU("the guest ended before the program", temporary)
	}
	s, _ := prepareWithFakeQEMU(t, `: > "$run/started"; echo output >> "$run/stdout"; echo 7 > "$run/status"; kill -KILL $$`, nil, nil, "true")
	require.Equal(t, 7, s.status(), "the program had ended before")
	require.Equal(t, "output\n", s.stdout.String())
	require.Empty(t, s.stderr.String())
}

// The run's limit is after a Go test's own, when it reports where it hangs, and before `go test`
// kills it, a minute later.
func TestLimitOfGoTests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ timeout, argument, says string }{
		{"", "", "1200 s (RXE_TIMEOUT)"},
		{"33", "-test.timeout=10m0s", "33 s (RXE_TIMEOUT)"},
		{"", "-test.timeout=10m0s", "645 s (45 s more than -test.timeout=10m0s; RXE_TIMEOUT is another limit)"},
		{"", "-test.timeout=1h30m0s", "5445 s (45 s more than -test.timeout=1h30m0s; RXE_TIMEOUT is another limit)"},
		{"", "--test.timeout=08.5s", "53 s (45 s more than --test.timeout=08.5s; RXE_TIMEOUT is another limit)"},
		{"", "-test.timeout=0s", "1200 s (RXE_TIMEOUT)"},
		{"", "-test.timeout=500ms", "1200 s (RXE_TIMEOUT)"},
		{"", "-test.timeout=", "1200 s (RXE_TIMEOUT)"},
		{"", "-test.run=-test.timeout=1s", "1200 s (RXE_TIMEOUT)"},
	} {
		t.Run(c.timeout+c.argument, func(t *testing.T) {
			t.Parallel()
			// The time limit is reached at once.
			s, temporary := prepareWithFakeQEMU(t, `: > "$run/started"; exec sleep 1000`, map[string]string{"timeout": "exit 124"},
				[]string{"RXE_TIMEOUT=" + c.timeout}, "x.test", "-test.paniconexit0", c.argument, "-test.v")
			require.Equal(t, 124, s.status(), &s.stderr)
			require.Contains(t, s.stderr.String(), "the program did not end within "+c.says+"; ")
			eventually(t, func() bool { return isEmpty(t, temporary) }, "the run's folder is not deleted")
		})
	}
}
