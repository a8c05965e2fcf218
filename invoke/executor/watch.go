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

// watchTime ends this process, an executor, when a call takes half as long again as the
// limit: its function has found the page that the supervisor watches, and writes there.
func (p *progress) watchTime(limit time.Duration) {
	limit += limit / 2
	ticker := time.NewTicker(min(max(limit/looksPerLimit, leastLook), seldomLook))
	seen, since := uint64(0), time.Now()
	for now := range ticker.C {
		switch turns := p.turns.Load(); {
		case turns != seen || turns%2 == 0:
			seen, since = turns, now
		case now.Sub(since) >= limit:
			os.Exit(exitOverstayed)
		}
	}
}

// watchTime kills the executor when a call takes longer than the limit. It goes by
// its own clock: what the executor writes cannot stretch a call.
func (e *Executor) watchTime(limit time.Duration) {
	ticker := time.NewTicker(min(max(limit/looksPerLimit, leastLook), seldomLook))
	defer ticker.Stop()
	seen, _, _ := e.progress.look()
	since := time.Now()
	for {
		select {
		case <-e.ended:
			return
		case now := <-ticker.C:
			count, running, _ := e.progress.look()
			switch {
			case count != seen || !running:
				seen, since = count, now
			case now.Sub(since) >= limit:
				e.overstayed.Store(true)
				e.Kill()
				return
			}
		}
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
