package executor

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// How often an executor with a time limit is looked at: so many times in the
// limit, so that a call is ended after its limit and before 1.25 of it.
const (
	looksPerLimit = 4
	leastLook     = time.Millisecond
	seldomLook    = time.Second
)

// watchLimit is the limit that calls are watched for, from outside; 0 for none.
func (a *Assignment) watchLimit() time.Duration {
	if a.Runtime == runtime.Wasm && a.TimeLimit > 0 {
		return 2*a.TimeLimit + time.Second // it ends its calls itself, and lives on
	}
	return a.TimeLimit
}

// exitOverstayed is the exit status of an executor that has found that by itself.
const exitOverstayed = 124

// overstays looks at calls until one takes longer than the limit, and is false if the end
// comes before. It goes by its own clock: what an executor writes cannot stretch a call.
// look says which call is looked at, and whether it runs.
func overstays(limit time.Duration, end <-chan struct{}, look func() (count uint64, running bool)) bool {
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
	if overstays(limit, e.ended, func() (uint64, bool) {
		count, running, _ := e.progress.look()
		return count, running
	}) {
		e.overstayed.Store(true)
		e.Kill()
	}
}

// watchTime ends this process, an executor, when a call takes half as long again as the
// limit: its function has found the page that the supervisor watches, and writes there.
func (p *progress) watchTime(limit time.Duration) {
	if overstays(limit+limit/2, nil, func() (uint64, bool) {
		turns := p.turns.Load()
		return turns, turns%2 == 1
	}) {
		os.Exit(exitOverstayed)
	}
}

// endTakes is how long the end of a process may come after the end of its
// connections.
const endTakes = 200 * time.Millisecond

// watchControl kills the executor when its control ends and it does not.
func (e *Executor) watchControl() {
	e.control.conn.SetDeadline(time.Time{})
	var a answer
	if _, err := e.control.receive(&a); err == nil || errors.Is(err, errNonsense) {
		e.trespassed.Store(true) // it has nothing to say unasked, and a flood of it would cost others
		e.Kill()
	} else if !e.stopped.Load() {
		e.awaitEnd(context.Background())
	}
	<-e.ended
	e.control.close()
}

// awaitEnd waits for the end that must be near, as connections have ended, and
// makes it if it does not come: a process that has lost them is of no use.
func (e *Executor) awaitEnd(ctx context.Context) {
	timer := time.NewTimer(endTakes)
	defer timer.Stop()
	select {
	case <-e.ended:
		return
	case <-ctx.Done():
	case <-timer.C:
	}
	e.silenced.Store(true)
	e.Kill()
	<-e.ended
}

// Lost is to be called when the connection to the executor has been lost and
// nobody has asked it to end: it returns how it ended, after seeing to that it
// does. ctx bounds how long it may take to do so by itself.
func (e *Executor) Lost(ctx context.Context) Fate {
	e.awaitEnd(ctx)
	return e.fate
}
