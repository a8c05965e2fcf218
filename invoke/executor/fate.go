package executor

import (
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
)

// Cause is why an executor ended.
type Cause uint8

// The causes.
const (
	// Exited: by itself. It was asked to, or a function called exit.
	Exited Cause = iota
	// Signaled: by a signal. A function crashed, or another process killed it.
	Signaled
	// TimedOut: it was killed because a call took longer than the time limit.
	TimedOut
	// Disconnected: it was killed because it had lost the connection to its supervisor,
	// or its client's: a function closed descriptors that were not its own.
	Disconnected
	// OutOfMemory: it was killed because it needed more memory than its assignment allows.
	OutOfMemory
	// ProtocolViolation: it was killed because it sent its supervisor a message without
	// being asked: a function used a descriptor that was not its own.
	ProtocolViolation
	// LimitExceeded: it was killed because it exceeded a limit that the kernel does not
	// enforce on this machine: see confine.Process.Excess.
	LimitExceeded
	// Abandoned: it ended because a function continued a call that its caller had given up.
	Abandoned
)

// Fate is how an executor ended.
type Fate struct {
	Cause      Cause
	Signal     syscall.Signal // of Signaled
	ExitStatus int            // of Exited
	Function   string         // the one that was running; empty if none was
	TimeLimit  time.Duration  // of TimedOut
	// ResultBytes is the size of the result buffer that the function wrote past, of
	// Signaled; 0 if that is not the reason.
	ResultBytes int64
	// StackBytes is the size of the stack that the function used up, of Signaled; 0 if
	// that is not the reason.
	StackBytes int64
	// MemoryBytes is what OutOfMemory's assignment allows; 0 if it sets no limit.
	MemoryBytes int64
	// Excess is what LimitExceeded was about.
	Excess string
}

// String describes the fate.
func (f Fate) String() string {
	s := ""
	switch f.Cause {
	case Signaled:
		s = fmt.Sprintf("killed by signal %d (%v)", int(f.Signal), f.Signal)
	case TimedOut:
		return fmt.Sprintf("killed because function %q took longer than its time limit of %v", f.Function, f.TimeLimit)
	case OutOfMemory:
		s = "killed because it used up its memory"
		if f.MemoryBytes > 0 {
			s += fmt.Sprintf(" (its limit is %d bytes)", f.MemoryBytes)
		}
	case ProtocolViolation:
		s = "killed because it wrote to the connection of its supervisor"
	case Abandoned:
		return fmt.Sprintf("ended because function %q continued for %v after its caller had given up", f.Function, cancelGrace)
	case LimitExceeded:
		s = "killed because it had " + f.Excess
	case Disconnected:
		s = "killed because it had closed its connections"
	default:
		s = fmt.Sprintf("ended with exit status %d", f.ExitStatus)
	}
	if f.Function != "" {
		s += fmt.Sprintf(" while function %q ran", f.Function)
	}
	if f.ResultBytes > 0 {
		s += fmt.Sprintf(", which went past the room for its result (%d bytes)", f.ResultBytes)
	}
	if f.StackBytes > 0 {
		s += fmt.Sprintf(": a stack overflow (its stack has %d bytes)", f.StackBytes)
	}
	return s
}

// Err is the error of the call that was running.
func (f Fate) Err() *invoke.Error {
	e := &invoke.Error{Status: invoke.StatusCrashed, Function: f.Function, Message: "the executor was " + f.String(), Started: invoke.StartedYes}
	switch {
	case f.Cause == TimedOut:
		e.Status = invoke.StatusDeadlineExceeded
	case f.Cause == Abandoned:
		e.Status, e.Message = invoke.StatusCanceled, "the executor "+f.String()
	case f.Cause == Exited:
		e.Message = "the executor " + f.String()
	}
	if f.Function == "" {
		e.Started = invoke.StartedUnknown
	}
	return e
}

// signalOfExit turns the exit status of the first process of a namespace into the signal
// that it stands for. A signal of its own cannot kill such a process: it exits with 128
// plus the signal, as in a shell.
func (f *Fate) signalOfExit() {
	const offset = 128
	if s := syscall.Signal(f.ExitStatus - offset); f.Cause == Exited && slices.Contains(crashes, s) {
		*f = Fate{Cause: Signaled, Signal: s}
	}
}

// crashes are the signals of code that goes wrong.
var crashes = []syscall.Signal{
	syscall.SIGSEGV, syscall.SIGBUS, syscall.SIGILL, syscall.SIGFPE, syscall.SIGABRT, syscall.SIGTRAP, syscall.SIGSYS,
}

// fateOf decodes the status of a process.
func fateOf(status syscall.WaitStatus) Fate {
	if status.Signaled() {
		return Fate{Cause: Signaled, Signal: status.Signal()}
	}
	return Fate{Cause: Exited, ExitStatus: status.ExitStatus()}
}
