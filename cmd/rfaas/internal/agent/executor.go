package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// Executor is a process that executes functions. Its methods may be called from
// anywhere.
type Executor struct {
	core     int
	address  string
	process  *os.Process
	lifeline *os.File // its standard input
	output   *os.File // its standard output
	stopped  atomic.Bool
	ended    chan struct{} // closed when the process was reaped
	death    string        // how it ended; set before ended is closed
}

// stderrDelay bounds how long an executor's standard error is read after its
// end, in case that something else holds it open.
const stderrDelay = time.Second

// start starts a process of this program.
func start(cfg Config, core int) (*Executor, error) {
	e := &Executor{core: core, ended: make(chan struct{})}
	input, lifeline, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("starting an executor: %w", err)
	}
	defer input.Close()
	output, address, err := os.Pipe()
	if err != nil {
		lifeline.Close()
		return nil, fmt.Errorf("starting an executor: %w", err)
	}
	defer address.Close()
	e.lifeline, e.output = lifeline, output
	cmd := exec.Command("/proc/self/exe", cfg.Args...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, address, cfg.Stderr
	cmd.WaitDelay = stderrDelay
	// In a process group of its own it is left alone by a Ctrl-C on the terminal,
	// which is for this process to handle.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	go e.attend(cmd, started)
	if err := <-started; err != nil {
		lifeline.Close()
		output.Close()
		return nil, fmt.Errorf("starting an executor: %w", err)
	}
	return e, nil
}

// attend starts the process and reaps it. Its thread is the executor's own: the
// executor inherits the thread's processor, and would be killed at its end.
func (e *Executor) attend(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	err := pinThread(e.core)
	if err == nil {
		err = cmd.Start()
	}
	e.process = cmd.Process
	started <- err
	if err != nil {
		return
	}
	err = cmd.Wait()
	e.death = describe(cmd.ProcessState, err)
	e.lifeline.Close()
	close(e.ended)
}

// describe says how a process ended.
func describe(state *os.ProcessState, err error) string {
	if state == nil {
		return err.Error()
	}
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return fmt.Sprintf("killed by signal %d (%v)", int(s.Signal()), s.Signal())
	}
	return fmt.Sprintf("ended with exit status %d", state.ExitCode())
}

// PID is the process id.
func (e *Executor) PID() int { return e.process.Pid }

// Core is the processor that the executor was started on, or AnyCore.
func (e *Executor) Core() int { return e.core }

// Address is where the executor waits for clients, as net.Dial takes it.
func (e *Executor) Address() (network, address string) { return "unix", e.address }

// Ended is closed when the process has ended.
func (e *Executor) Ended() <-chan struct{} { return e.ended }

// Death says how the process ended, in words; empty while it has not.
func (e *Executor) Death() string {
	select {
	case <-e.ended:
		return e.death
	default:
		return ""
	}
}

// Kill ends the process at once. It does not wait for its end.
func (e *Executor) Kill() {
	e.process.Kill() // an error means that it has ended
}

// Stop asks the executor to end, kills it after the grace period, and returns
// when the process is gone.
func (e *Executor) Stop(grace time.Duration) {
	if e.stopped.CompareAndSwap(false, true) {
		e.lifeline.Close()
	}
	select {
	case <-e.ended:
	case <-time.After(grace):
		e.Kill()
		<-e.ended
	}
}

// awaitReady reads the executor's line.
func (e *Executor) awaitReady(ctx context.Context) (address string, err error) {
	defer e.output.Close()
	defer context.AfterFunc(ctx, func() { e.output.SetReadDeadline(time.Unix(1, 0)) })()
	line, err := readLine(e.output)
	switch {
	case err == nil:
		address, err = parseLine(line)
	case errors.Is(err, os.ErrDeadlineExceeded):
		if err = ctx.Err(); errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("not ready within %v", startTimeout)
		}
	case errors.Is(err, io.EOF): // it ended, or is about to
		select {
		case <-e.ended:
			err = errors.New(e.death + " before it was ready")
		case <-ctx.Done():
			err = errors.New("closed its standard output before it was ready")
		}
	}
	if err != nil {
		return "", fmt.Errorf("executor (process %d): %w", e.PID(), err)
	}
	return address, nil
}
