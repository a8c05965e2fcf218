package executor

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// How often the calls of an executor with a time limit are looked at: looksPerLimit times
// in the limit, so that a call is ended between 1 and 1.25 times its limit.
const (
	looksPerLimit = 4
	leastLook     = time.Millisecond
	seldomLook    = time.Second
)

// watchLimit is the limit that is enforced from outside the code; 0 for none.
func (a *Assignment) watchLimit() time.Duration {
	if a.Runtime == runtime.Wasm && a.TimeLimit > 0 {
		return 2*a.TimeLimit + time.Second // the runtime ends its calls itself, and the process survives
	}
	return a.TimeLimit
}

// exitTimedOut is the exit status of an executor that has ended itself for that.
const exitTimedOut = 124

// exceeds returns true once a call takes longer than the limit, and false if end is closed
// before. It uses its own clock: what an executor writes cannot make a call seem shorter.
// look returns a number that changes with each call, and whether a call runs.
func exceeds(limit time.Duration, end <-chan struct{}, look func() (count uint64, running bool)) bool {
	ticker := time.NewTicker(min(max(limit/looksPerLimit, leastLook), seldomLook))
	defer ticker.Stop()
	seen, _ := look()
	since := time.Now()
	for {
		select {
		case <-end:
			return false
		case now := <-ticker.C:
			switch count, running := look(); {
			case count != seen || !running:
				seen, since = count, now
			case now.Sub(since) >= limit:
				return true
			}
		}
	}
}

// watchTime kills the executor when a call takes longer than the limit.
func (e *Executor) watchTime(limit time.Duration) {
	if exceeds(limit, e.ended, func() (uint64, bool) {
		count, running, _ := e.progress.look()
		return count, running
	}) {
		e.timedOut.Store(true)
		e.Kill()
	}
}

// watchTime ends this process, an executor, when a call takes 1.5 times the limit: then its
// function has found the page that the supervisor watches, and writes there.
func (p *progress) watchTime(limit time.Duration) {
	if exceeds(limit+limit/2, nil, func() (uint64, bool) {
		n := p.sequence.Load()
		return n, n%2 == 1
	}) {
		os.Exit(exitTimedOut)
	}
}

// endTakes is how long a process may take to end after its connections have ended.
const endTakes = 200 * time.Millisecond

// watchControl kills the executor if its control ends and the process does not.
func (e *Executor) watchControl() {
	e.control.conn.SetDeadline(time.Time{})
	var a answer
	if _, err := e.control.receive(&a); err == nil || errors.Is(err, errNonsense) {
		e.violated.Store(true) // an unasked message: many of them would cost others
		e.Kill()
	} else if !e.stopped.Load() {
		e.awaitEnd(context.Background())
	}
	<-e.ended
	e.control.close()
}

// awaitEnd waits for the end of a process whose connections have ended, and kills it
// if it does not end: without them it is of no use.
func (e *Executor) awaitEnd(ctx context.Context) {
	timer := time.NewTimer(endTakes)
	defer timer.Stop()
	select {
	case <-e.ended:
		return
	case <-ctx.Done():
	case <-timer.C:
	}
	e.disconnected.Store(true)
	e.Kill()
	<-e.ended
}

// Lost waits for the end of the executor and returns how it ended. Call it when the
// connection to the executor was lost without a Stop. If the executor does not end soon, or
// when ctx is done, it is killed.
func (e *Executor) Lost(ctx context.Context) Fate {
	e.awaitEnd(ctx)
	return e.fate
}

// excess is a limit that an executor exceeds.
type excess struct {
	of   confine.Measure
	what string
}

// excessLook is how often an executor is checked whose memory, threads and temporary files
// the kernel does not limit.
const excessLook = 100 * time.Millisecond

// watchExcess kills the executor when it exceeds a limit. shared is how many bytes of memory
// it shares with the supervisor.
func (e *Executor) watchExcess(shared int64) {
	ticker := time.NewTicker(excessLook)
	defer ticker.Stop()
	for {
		select {
		case <-e.ended:
			return
		case <-ticker.C:
		}
		if of, what := e.confined.Excess(shared); what != "" {
			e.exceeded.Store(&excess{of, what})
			e.Kill()
			return
		}
	}
}

// sizeOf is the size of a file, 0 for nil.
func sizeOf(f *os.File) int64 {
	if f == nil {
		return 0
	}
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

const (
	// cancelGrace is how long a function may continue a call that its caller has given
	// up: native code does not look at a context.
	cancelGrace = 250 * time.Millisecond
	// exitAbandoned is the exit status of an executor that ends for that reason.
	exitAbandoned = 125
)

// canceled ends a call that its caller has given up. If the function continues, this process
// ends: the caller sends its next calls to another one.
func (x *execution) canceled(running func() bool) {
	if m, ok := x.module.(runtime.ContextChecker); ok {
		m.CheckContexts()
	}
	time.AfterFunc(cancelGrace, func() {
		if running() {
			os.Exit(exitAbandoned)
		}
	})
}
