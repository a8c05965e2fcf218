package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// lossTimeout is how long a baseline waits for an answer. There is none when a
// datagram was lost, or when the peer does not run.
const lossTimeout = 5 * time.Second

// errLost means that a datagram was lost.
var errLost = errors.New("a datagram was lost, and a baseline sends none twice")

// lossWatch ends loops that wait for a datagram. Its zero value is ready, and to
// be used for one wait.
type lossWatch struct {
	looks int
	since int64 // clock of the first check; 0 before
}

// looked counts a look at a socket that found nothing. Now and then it says
// whether to go on. limit is how long to wait, 0 for as long as the context
// lasts: one side of a test is enough to notice a loss.
func (w *lossWatch) looked(ctx context.Context, limit time.Duration) error {
	if w.looks++; w.looks%looksPerCheck != 0 {
		return nil
	}
	return w.check(ctx, limit)
}

func (w *lossWatch) check(ctx context.Context, limit time.Duration) error {
	now := clock()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case w.since == 0:
		w.since = now
	case limit > 0 && now-w.since > int64(limit):
		return fmt.Errorf("no answer for %v: %w", limit, errLost)
	}
	return nil
}
