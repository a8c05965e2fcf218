package command

import (
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
)

// answer takes what a program writes to its standard output. A read is one of the pipe; it
// returns io.EOF, EAGAIN, errAnswered, or what is wrong with the answer.
type answer interface{ read(fd int) error }

// How a conversation ends.
var (
	errAnswered = errors.New("the answer is complete")
	errExited   = errors.New("the program has ended")
	errDeserted = errors.New("the program has closed its standard input or output")
)

// converse carries bytes until one of these errors, until there is something wrong with
// the answer, or until the call has to end. The program may still run then.
func (m *Module) converse(ctx context.Context, p *process, a answer) error {
	timeout := 1 // ms; a short call does not pay for a notice of its context's end
	for {
		fds := [...]unix.PollFd{
			{Fd: int32(p.stdout), Events: unix.POLLIN},
			{Fd: int32(p.stderr), Events: unix.POLLIN},
			{Fd: int32(p.pidfd), Events: unix.POLLIN},
			{Fd: int32(m.bell.fd), Events: unix.POLLIN},
			{Fd: -1, Events: unix.POLLOUT},
		}
		out, log, exit, bell, in := &fds[0], &fds[1], &fds[2], &fds[3], &fds[4]
		if len(p.unsent) > 0 {
			in.Fd = int32(p.stdin)
		}
		n, err := unix.Poll(fds[:], timeout)
		if err != nil && err != unix.EINTR {
			return fmt.Errorf("command: %s: poll: %w", m.config.Name, err)
		}
		if n == 0 && timeout >= 0 {
			timeout = -1
			defer context.AfterFunc(ctx, m.bell.ring)()
		}
		if n > 0 && bell.Revents != 0 {
			m.bell.silence()
		}
		if err := m.over(ctx); err != nil {
			return err
		}
		if n <= 0 {
			continue
		}
		// First, so that what was written before an answer is passed on before it.
		if log.Revents != 0 && m.stderr.read(p.stderr) == io.EOF {
			shut(&p.stderr)
		}
		if out.Revents != 0 {
			err := a.read(p.stdout)
			switch {
			case err == io.EOF && !m.config.Warm:
				shut(&p.stdout)
			case err == io.EOF:
				return errDeserted
			case err != nil && err != unix.EAGAIN:
				return err
			}
		}
		if exit.Revents != 0 {
			return errExited
		}
		if in.Revents != 0 {
			if err := m.send(p); err != nil {
				return err
			}
		}
	}
}

// send writes what the program's standard input takes. A program that is started for a call need not read.
func (m *Module) send(p *process) error {
	err := p.send()
	if m.config.Warm {
		if err != nil {
			return errDeserted
		}
		return nil
	}
	if err != nil {
		p.unsent = nil
	}
	if len(p.unsent) == 0 {
		shut(&p.stdin)
	}
	return nil
}

// end kills what is left of a program, takes what it has written by then, and reaps it.
// What a is nil for, or has returned an error, is not read.
func (m *Module) end(p *process, a answer) (unix.WaitStatus, error) {
	p.kill()
	var err error
	for a != nil && p.stdout >= 0 && err == nil {
		err = a.read(p.stdout)
	}
	// Bounded: a process that got away may write for ever.
	for range largePipeBytes / len(m.stderr.buf) {
		if p.stderr < 0 || m.stderr.read(p.stderr) != nil {
			break
		}
	}
	m.stderr.flush()
	if err == io.EOF || err == unix.EAGAIN {
		err = nil
	}
	m.guard.watch(0) // first: the number of the group may be another's afterwards
	return p.reap(), err
}

// fate describes how a program ended.
func fate(status unix.WaitStatus) string {
	if status.Signaled() {
		return fmt.Sprintf("%s (%v)", unix.SignalName(status.Signal()), status.Signal())
	}
	return fmt.Sprintf("exit status %d", status.ExitStatus())
}

// crashed is the error of a call whose program ended as it should not.
func (m *Module) crashed(started invoke.Started, text string) error {
	if last := m.stderr.last(); last != "" {
		text += ": " + last
	}
	return &invoke.Error{Status: invoke.StatusCrashed, Started: started, Message: m.config.Name + " " + text}
}
