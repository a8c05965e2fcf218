package executor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	goruntime "runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// Executor is a process that executes functions. Its methods may be called concurrently.
type Executor struct {
	cores    []int // nil: any
	process  *os.Process
	control  *control
	progress *progress
	output   *output
	claims   *claims

	transports []string   // of its Setup
	assigning  sync.Mutex // against attend
	assignment Assignment // set by assign
	passing    sync.Mutex // serializes commands to a running executor

	confined *confine.Process // nil if it is not confined
	remains  error            // what could not be removed; set before ended is closed

	memoryBytes int64 // its limit in all, if it is confined; 0: none

	stopped      atomic.Bool // it was asked to end
	timedOut     atomic.Bool // this and the next three: it is being killed for that
	disconnected atomic.Bool
	violated     atomic.Bool
	exceeded     atomic.Pointer[excess]
	ended        chan struct{}
	fate         Fate // set before ended is closed
	cpu          time.Duration
}

// outputDelay bounds how long an executor's output is read after its end, in case
// another process holds it open.
const outputDelay = time.Second

// start starts a process, confined by the policy unless that is nil: then env is added to its
// environment.
func (s *Supervisor) start(cores []int, policy *confine.Policy, env []string) (e *Executor, err error) {
	e = &Executor{cores: cores, ended: make(chan struct{}), output: newOutput(s.cfg.Output)}
	control, controlFile, err := controlPair()
	if err != nil {
		return nil, err
	}
	defer controlFile.Close()
	progress, progressFile, err := newProgress()
	if err != nil {
		control.close()
		return nil, err
	}
	defer progressFile.Close()
	claims, logFile, err := claimsPipe(s.log)
	if err != nil {
		control.close()
		progress.close()
		return nil, err
	}
	defer logFile.Close()
	e.control, e.progress, e.claims = control, progress, claims
	cmd := exec.Command(s.cfg.Command[0], s.cfg.Command[1:]...)
	if cmd.Path == ThisProgram {
		cmd.Args[0] = os.Args[0] // for lists of processes
	}
	cmd.Stdout, cmd.Stderr = e.output.stream(Stdout), e.output.stream(Stderr)
	cmd.ExtraFiles = []*os.File{controlFD - 3: controlFile, progressFD - 3: progressFile, logFD - 3: logFile}
	cmd.WaitDelay = outputDelay
	// In a process group of its own, a Ctrl-C on the terminal does not reach it:
	// this process handles that.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if policy != nil {
		confined := *policy
		confined.Cores = cores
		if e.confined, err = s.host.Prepare(cmd, confined); err != nil {
			e.abandon()
			return nil, err
		}
		e.memoryBytes = policy.MemoryBytes
	} else if len(env) > 0 {
		cmd.Env = append(cmd.Environ(), env...)
	}
	started := make(chan error)
	go e.attend(cmd, started)
	if err := <-started; err != nil {
		e.abandon()
		return nil, err
	}
	return e, nil
}

// abandon frees what was made for a process that does not start.
func (e *Executor) abandon() {
	e.control.close()
	e.progress.close()
	e.claims.from.Close()
}

// attend starts the process and reaps it, on a thread of its own: the executor
// inherits the thread's affinity, and is killed when the thread ends.
func (e *Executor) attend(cmd *exec.Cmd, started chan<- error) {
	goruntime.LockOSThread() // never unlocked: the thread ends with the goroutine
	err := pinThread(e.cores)
	e.output.start(func() (pid int) {
		switch {
		case err != nil:
		case e.confined != nil:
			err = e.confined.Start()
		default:
			err = cmd.Start()
		}
		if e.process = cmd.Process; e.process != nil {
			pid = e.process.Pid
		}
		return pid
	})
	if err != nil {
		if e.confined != nil {
			_, remains := e.confined.Close()
			err = errors.Join(err, remains)
		}
		started <- err
		return
	}
	go e.claims.read(e.PID())
	started <- nil
	cmd.Wait() // its error is the process's status, or that its output was cut off
	var usage confine.Usage
	if e.confined != nil {
		usage, e.remains = e.confined.Close()
	}
	e.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	e.fate = e.judge(status, usage)
	e.claims.end()
	if lost := e.output.end(); lost > 0 {
		e.claims.log.Warn("an executor has printed too much, and the rest is lost", "process", e.PID(), "lost_bytes", lost)
	}
	e.progress.close()
	close(e.ended)
}

// judge determines why the process has ended.
func (e *Executor) judge(status syscall.WaitStatus, usage confine.Usage) Fate {
	f := fateOf(status)
	if e.confined != nil && e.confined.Report().Applied(confine.Namespaces) {
		f.signalOfExit()
	}
	e.assigning.Lock()
	defer e.assigning.Unlock()
	_, running, number := e.progress.look()
	if running && number < uint64(len(e.assignment.Functions)) {
		f.Function = e.assignment.Functions[number].Name
	}
	switch {
	case f.Signal == syscall.SIGSEGV && f.Function != "":
		f.ResultBytes, f.StackBytes = e.progress.noted(overrunAt), e.progress.noted(overflowAt)
	case f.Cause == Exited && f.ExitStatus == exitTimedOut && e.assignment.TimeLimit > 0:
		f.Cause, f.TimeLimit = TimedOut, e.assignment.TimeLimit
	case f.Cause == Exited && f.ExitStatus == exitAbandoned && f.Function != "":
		f.Cause = Abandoned
	case f.Signal != syscall.SIGKILL:
	case e.timedOut.Load():
		f.Cause, f.TimeLimit = TimedOut, e.assignment.TimeLimit
	case usage.OOMKills > 0: // before disconnected: a process that is dying has closed its connections, too
		f.Cause, f.MemoryBytes = OutOfMemory, e.assignment.MemoryBytes
	case e.exceeded.Load() != nil:
		if x := e.exceeded.Load(); x.of == confine.MemoryLimit {
			f.Cause, f.MemoryBytes = OutOfMemory, e.assignment.MemoryBytes
		} else {
			f.Cause, f.Excess = LimitExceeded, x.what
		}
	case e.violated.Load():
		f.Cause = ProtocolViolation
	case e.disconnected.Load():
		f.Cause = Disconnected
	}
	return f
}

// OrderError is why an executor cannot carry out an order: the fault is the order's,
// not the executor's.
type OrderError struct{ Reason string }

func (e *OrderError) Error() string { return "executor: " + e.Reason }

// ask sends a command and waits for the answer.
func (e *Executor) ask(ctx context.Context, c command, files ...*os.File) (a answer, err error) {
	defer context.AfterFunc(ctx, func() { e.control.conn.SetDeadline(past) })()
	if err = e.control.send(c, files...); err == nil {
		_, err = e.control.receive(&a)
	}
	return e.checkAnswer(ctx, a, err)
}

// checkAnswer returns the answer, or an error that says why there is none.
func (e *Executor) checkAnswer(ctx context.Context, a answer, err error) (answer, error) {
	mistake := (*OrderError)(nil)
	switch {
	case err == nil && a.Failed == "":
		return a, nil
	case err == nil:
		return a, &OrderError{a.Failed}
	case errors.As(err, &mistake):
		return a, err
	case ctx.Err() != nil:
		return a, fmt.Errorf("executor (process %d) was not ready: %w", e.PID(), context.Cause(ctx))
	}
	if errors.Is(err, errNonsense) {
		return a, fmt.Errorf("executor (process %d): %w", e.PID(), err)
	}
	// It ended, or is about to.
	select {
	case <-e.ended:
		return a, fmt.Errorf("executor (process %d): %v before it was ready", e.PID(), e.fate)
	case <-ctx.Done():
		return a, fmt.Errorf("executor (process %d): %w", e.PID(), errors.Join(err, ctx.Err()))
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// setUp makes the executor ready for an assignment.
func (e *Executor) setUp(ctx context.Context, setup *Setup) error {
	e.transports = setup.Transports
	a, err := e.ask(ctx, command{Setup: setup, LogLevel: e.claims.level()})
	if err != nil {
		return err
	}
	if e.confined == nil {
		return nil
	}
	// Only before it has loaded code is its report to be believed.
	if a.Confined == nil {
		return fmt.Errorf("executor (process %d): %w: it sent no report", e.PID(), confine.ErrNotConfined)
	}
	e.confined.Entered(*a.Confined)
	return nil
}

// assign gives the executor its assignment and begins to watch it.
func (e *Executor) assign(ctx context.Context, o Order) error {
	e.assigning.Lock()
	e.assignment = o.Assignment
	e.assigning.Unlock()
	e.output.offer(o.Assignment.Functions)
	if e.confined != nil {
		if err := e.limitMemory(); err != nil {
			return err
		}
	}
	if len(o.Cores) > 0 && len(e.cores) == 0 { // a spare
		if e.confined != nil {
			if err := e.confined.SetCores(o.Cores); err != nil {
				return err
			}
		}
		if err := pinProcess(e.PID(), o.Cores); err != nil {
			return err
		}
		e.cores = o.Cores
	}
	if _, err := e.ask(ctx, command{Assignment: &o.Assignment, Cores: len(o.Cores), Metered: o.Page != nil}, o.files()...); err != nil {
		return err
	}
	go e.watchControl()
	if e.confined != nil && !e.confined.Bounded() {
		go e.watchExcess(sizeOf(o.Code) + sizeOf(o.Compiled))
	}
	if limit := o.Assignment.watchLimit(); limit > 0 {
		go e.watchTime(limit)
	}
	return nil
}

// PID is the process id.
func (e *Executor) PID() int { return e.process.Pid }

// Cores are the processors that the executor runs on, nil for any.
func (e *Executor) Cores() []int { return e.cores }

// Confinement reports how the executor is isolated; ok is false if it is not.
func (e *Executor) Confinement() (r confine.Report, ok bool) {
	if e.confined == nil {
		return r, false
	}
	return e.confined.Report(), true
}

// Ended returns a channel that is closed when the process has ended.
func (e *Executor) Ended() <-chan struct{} { return e.ended }

// Fate returns how the process ended; ok is false while it has not.
func (e *Executor) Fate() (f Fate, ok bool) {
	if !e.hasEnded() {
		return Fate{}, false
	}
	return e.fate, true
}

func (e *Executor) hasEnded() bool {
	select {
	case <-e.ended:
		return true
	default:
		return false
	}
}

// CPUTime is the processor time of the process so far, by the kernel's count.
func (e *Executor) CPUTime() time.Duration {
	if e.hasEnded() {
		return e.cpu
	}
	// The clock of a process: see clock_getcpuclockid(3).
	const scheduled = 2
	var t unix.Timespec
	if unix.ClockGettime(int32(^e.PID())<<3|scheduled, &t) != nil {
		return 0 // it has just ended
	}
	return time.Duration(t.Nano())
}

// Remains returns, once the process has ended, what of it could not be removed: processes
// that it has started, control groups.
func (e *Executor) Remains() error {
	if !e.hasEnded() {
		return nil
	}
	return e.remains
}

// Kill ends the process at once. It does not wait for its end.
func (e *Executor) Kill() {
	e.process.Kill() // an error means that it has ended
}

// Stop asks the executor to end, kills it after the grace period, and returns
// when the process has ended.
func (e *Executor) Stop(grace time.Duration) {
	if e.stopped.CompareAndSwap(false, true) {
		e.control.conn.CloseWrite()
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-e.ended:
	case <-timer.C:
	}
	e.discard()
}

// discard kills an executor that is not used. Its control is read until the end: a
// last answer may have arrived when the process has ended.
func (e *Executor) discard() {
	e.Kill()
	<-e.ended
	e.control.close()
}
