package command

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// guard is a shell that outlives this process, and kills the group of the program that runs
// then. The kernel kills the program itself, and in an isolated executor all that there is.
type guard struct{ fd, pid int }

// guardScript reads the group that runs, one a line, 0 for none, until this process is gone.
const guardScript = `trap '' HUP INT QUIT TERM; last=0; while read -r group; do last=$group; done; [ "$last" = 0 ] || kill -s KILL -- "-$last"`

// newGuard starts one where it is needed. There is none without a shell.
func newGuard(null int) guard {
	none := guard{fd: -1}
	var fds [2]int
	if os.Getpid() == firstProcess || unix.Pipe2(fds[:], unix.O_CLOEXEC) != nil {
		return none
	}
	defer unix.Close(fds[0])
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", guardScript}, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{uintptr(fds[0]), uintptr(null), uintptr(null)}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		unix.Close(fds[1])
		return none
	}
	return guard{fd: fds[1], pid: pid}
}

// watch names the group that runs now, 0 for none.
func (g *guard) watch(group int) {
	if g.fd >= 0 {
		_, _ = unix.Write(g.fd, append(strconv.AppendInt(nil, int64(group), 10), '\n')) // fails only if the guard was killed
	}
}

// close ends the guard.
func (g *guard) close() {
	if g.fd < 0 {
		return
	}
	g.watch(0)
	shut(&g.fd)
	for {
		if _, err := unix.Wait4(g.pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}
