package agent_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// longest bounds the life of a busy loop, whatever becomes of its test.
const longest = time.Minute

// thisProgram is the test binary, which is also a busy loop: see TestMain.
const thisProgram = "/proc/self/exe"

// burn is a busy loop, until the other end of file 3 is closed.
func burn() {
	go func() {
		io.Copy(io.Discard, os.NewFile(3, "held by the test"))
		os.Exit(0)
	}()
	for end := time.Now().Add(longest); time.Now().Before(end); {
	}
}

// spin has this process use so much processor time more.
func spin(d time.Duration) error {
	const process = unix.CLOCK_PROCESS_CPUTIME_ID
	begun, err := clock(process)
	for now := begun; err == nil && now-begun < d; {
		now, err = clock(process)
	}
	return err
}

// scheduled is the kind of a process's clock: see clock_getcpuclockid(3).
const scheduled = 2

// clock is what one of the kernel's shows.
func clock(id int32) (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(id, &t)
	return time.Duration(t.Nano()), err
}

// burnOutside starts a busy loop, says its process id, and ends: its parent is then another.
func burnOutside() error {
	cmd := exec.Command(thisProgram, "burn")
	cmd.ExtraFiles = []*os.File{os.NewFile(3, "held by the test")}
	if err := cmd.Start(); err != nil {
		return err
	}
	_, err := fmt.Println(cmd.Process.Pid)
	return err
}

// loop is a busy loop in a process of its own.
type loop struct {
	pid int
	end func() // does so, and does not wait
}

// newLoop starts one that is a child of this process, or one that has nothing to do with it.
func newLoop(t *testing.T, outside bool) *loop {
	t.Helper()
	far, near, err := os.Pipe()
	require.NoError(t, err)
	defer far.Close()
	l := &loop{end: func() { near.Close() }}
	t.Cleanup(l.end)
	if !outside {
		cmd := exec.Command(thisProgram, "burn")
		cmd.ExtraFiles = []*os.File{far}
		require.NoError(t, cmd.Start())
		l.pid = cmd.Process.Pid
		l.end = func() { near.Close(); cmd.Wait() }
		t.Cleanup(l.end)
		return l
	}
	cmd := exec.Command(thisProgram, "burn outside")
	cmd.ExtraFiles = []*os.File{far}
	out, err := cmd.Output()
	require.NoError(t, err)
	l.pid, err = strconv.Atoi(strings.TrimSpace(string(out)))
	require.NoError(t, err)
	return l
}

// cpuTime is the processor time that the loop has used, by its process's clock.
func (l *loop) cpuTime(t *testing.T) time.Duration {
	t.Helper()
	used, err := clock(int32(^l.pid)<<3 | scheduled)
	require.NoError(t, err)
	return used
}
