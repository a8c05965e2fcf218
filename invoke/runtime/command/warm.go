package command

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
)

const (
	grace      = time.Second            // for a warm program to end when its input has
	shortGrace = 100 * time.Millisecond // for one that has closed a pipe, which may be about to end
)

// startWarm starts the program on a thread that lives as long as it does.
func (m *Module) startWarm() error {
	p := &process{stdin: -1, ended: make(chan struct{})}
	own, stdin, err := pipe(true)
	if err != nil {
		return m.wrong(err)
	}
	p.stdin = own
	defer shut(&stdin)
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.start(&m.config, m.config.Arguments, stdin)
		started <- err
		if err == nil {
			<-p.ended
		}
	}()
	if err := <-started; err != nil {
		return m.wrong(err)
	}
	m.guard.watch(p.pid)
	m.warm = p
	return nil
}

// endWarm lets the program end.
func (m *Module) endWarm() {
	shut(&m.warm.stdin)
	m.warm.await(grace, &m.stderr)
	_, _ = m.end(m.warm, nil)
	m.warm = nil
}

// ask is a call of a program that serves calls.
func (m *Module) ask(ctx context.Context, in, out []byte) (int, error) {
	if err := m.ready(); err != nil {
		return 0, err
	}
	m.stderr.forget()
	p, a := m.warm, &frame{out: out}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(in)))
	if len(in) > defaultPipeBytes {
		enlarge(p.stdin)
	}
	p.unsent = [][]byte{length[:], in}
	err := m.send(p)
	if err == nil {
		err = m.converse(ctx, p, a)
	}
	if err == errAnswered && len(p.unsent) == 0 {
		return a.result()
	}
	m.warm = nil
	var status unix.WaitStatus
	what := "ended during the call, which may have been executed: "
	switch err {
	case errAnswered:
		err = errEarly
	case errDeserted:
		p.await(shortGrace, &m.stderr)
		if !p.exited() {
			what = "closed its standard input or output during the call, which may have been executed, and was killed: "
		}
		fallthrough
	case errExited:
		status, err = m.end(p, a)
		switch {
		case err == errAnswered && len(p.unsent) == 0: // its last words
			return a.result()
		case err == nil || err == errAnswered:
			err = m.crashed(invoke.StartedUnknown, what+fate(status))
		}
	}
	if p.pidfd >= 0 {
		_, _ = m.end(p, nil)
	}
	if err == errTooLong {
		return a.needed, nil
	}
	return 0, err
}

// ready makes sure that there is a program, and that it waits for a call.
func (m *Module) ready() error {
	if m.warm != nil {
		fds := [...]unix.PollFd{{Fd: int32(m.warm.pidfd), Events: unix.POLLIN}, {Fd: int32(m.warm.stdout), Events: unix.POLLIN}}
		if n, _ := unix.Poll(fds[:], 0); n <= 0 {
			return nil
		}
		_, _ = m.end(m.warm, nil)
		m.warm = nil
		if fds[0].Revents == 0 && fds[1].Revents&unix.POLLIN != 0 {
			return m.wrong(fmt.Errorf("the program wrote to its standard output outside of an answer, and was killed; the call was not sent"))
		}
	}
	return m.startWarm()
}

// exited reports whether the program has ended.
func (p *process) exited() bool {
	fds := [...]unix.PollFd{{Fd: int32(p.pidfd), Events: unix.POLLIN}}
	n, _ := unix.Poll(fds[:], 0)
	return n > 0
}
