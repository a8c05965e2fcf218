package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a program that was started, with this side's ends of its pipes.
type process struct {
	pid, pidfd            int
	stdin, stdout, stderr int           // -1: closed
	unsent                [][]byte      // what is to be written to stdin
	ended                 chan struct{} // closed when it has been reaped; may be nil
}

const (
	defaultPipeBytes = 64 << 10 // of Linux
	largePipeBytes   = 1 << 20  // the most that users may have, by default
)

// pipe makes a pipe; the end of this process does not block.
func pipe(write bool) (own, other int, err error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, fmt.Errorf("pipe: %w", err)
	}
	own, other = fds[0], fds[1]
	if write {
		own, other = other, own
	}
	if err := unix.SetNonblock(own, true); err != nil {
		unix.Close(own)
		unix.Close(other)
		return -1, -1, fmt.Errorf("pipe: %w", err)
	}
	return own, other, nil
}

// enlarge makes a pipe hold more. It is only slower if the user has too many large ones.
func enlarge(fd int) { _, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, largePipeBytes) }

func shut(fd *int) {
	if *fd >= 0 {
		unix.Close(*fd)
		*fd = -1
	}
}

// start starts the program with a standard input, which stays the caller's. The thread must
// live as long as the program, which is killed with it.
func (p *process) start(c *Config, arguments []string, stdin int) (err error) {
	p.pidfd, p.stdout, p.stderr = -1, -1, -1
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	var itsOut, itsErr = -1, -1
	defer shut(&itsOut)
	defer shut(&itsErr)
	if p.stdout, itsOut, err = pipe(false); err != nil {
		return err
	}
	if p.stderr, itsErr, err = pipe(false); err != nil {
		return err
	}
	// The package syscall and not os, which looks first whether pidfd_open works: a filter may forbid that. Here the
	// pidfd comes with the process, from clone.
	p.pid, _, err = syscall.StartProcess(c.Program, append([]string{c.Program}, arguments...), &syscall.ProcAttr{
		Dir:   c.Directory,
		Env:   c.Environment,
		Files: []uintptr{uintptr(stdin), uintptr(itsOut), uintptr(itsErr)},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, PidFD: &p.pidfd},
	})
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("starting %s: %w: is the interpreter there that its first line names (#!), or the loader of the executable?", c.Program, err)
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("starting %s: %w: it has to be an executable for this machine, or a script whose first line names its interpreter (#!)", c.Program, err)
	case err != nil:
		return fmt.Errorf("starting %s: %w", c.Program, err)
	case p.pidfd < 0:
		p.kill()
		p.reap()
		return errors.New("the kernel gives no descriptors of processes (pidfd): Linux 5.4 is needed")
	}
	return nil
}

// send writes what the pipe takes.
func (p *process) send() error {
	for len(p.unsent) > 0 {
		n, err := unix.Writev(p.stdin, p.unsent)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			return nil
		case err != nil:
			return err
		}
		for len(p.unsent) > 0 && n >= len(p.unsent[0]) {
			n -= len(p.unsent[0])
			p.unsent = p.unsent[1:]
		}
		if n > 0 {
			p.unsent[0] = p.unsent[0][n:]
		}
	}
	return nil
}

// await waits until the program has ended, for a bounded time.
func (p *process) await(most time.Duration, log *stderr) {
	for end := time.Now().Add(most); ; {
		fds := [...]unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}, {Fd: int32(p.stderr), Events: unix.POLLIN}}
		left := time.Until(end)
		if left <= 0 {
			return
		}
		if n, err := unix.Poll(fds[:], int(left.Milliseconds())+1); err != nil || n == 0 {
			continue
		}
		if fds[0].Revents != 0 {
			return
		}
		if log.read(p.stderr) == io.EOF {
			shut(&p.stderr)
		}
	}
}

// kill ends the whole group. Until the program is reaped, the group's number is taken.
func (p *process) kill() { _ = unix.Kill(-p.pid, unix.SIGKILL) }

// reap waits for the program's end, and releases everything.
func (p *process) reap() unix.WaitStatus {
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(p.pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	p.close()
	if p.ended != nil {
		close(p.ended)
	}
	sweep()
	return status
}

// firstProcess is the id of the first process of a namespace.
const firstProcess = 1

// sweep ends and reaps what programs have left behind, in sessions of their own or without a
// parent, where it comes to this process: the first of a PID namespace, as an isolated
// executor is. It would count to the limit of processes.
func sweep() {
	if os.Getpid() != firstProcess {
		return
	}
	for {
		_ = unix.Kill(-1, unix.SIGKILL) // all others of the namespace; an error means that there is none
		if _, err := unix.Wait4(-1, nil, 0, nil); err != nil && err != unix.EINTR {
			return
		}
	}
}

func (p *process) close() {
	for _, fd := range []*int{&p.pidfd, &p.stdin, &p.stdout, &p.stderr} {
		shut(fd)
	}
}

// read does one read, whose end is io.EOF.
func read(fd int, b []byte) (int, error) {
	n, err := unix.Read(fd, b)
	switch {
	case err == unix.EINTR:
		return 0, nil
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}
