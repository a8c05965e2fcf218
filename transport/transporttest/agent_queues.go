package transporttest

import (
	"context"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

var newQueue = define("new queue", func(a *agent, depth int) (handle, error) {
	q, err := a.dev.NewQueue(depth)
	if err != nil {
		return 0, err
	}
	return a.put(q), nil
})

var closeQueue = define("close queue", func(a *agent, h handle) (none, error) {
	q, err := get[*transport.Queue](a, h)
	if err == nil {
		err = q.Close()
	}
	return false, err
})

type sharedArgs struct {
	Domain, Queue handle
	Depth         int
}

var newShared = define("new shared receive queue", func(a *agent, args sharedArgs) (handle, error) {
	d, err := get[*transport.ProtectionDomain](a, args.Domain)
	if err != nil {
		return 0, err
	}
	q, err := get[*transport.Queue](a, args.Queue)
	if err != nil {
		return 0, err
	}
	s, err := d.NewSharedReceive(q, args.Depth)
	if err != nil {
		return 0, err
	}
	return a.put(s), nil
})

type collectArgs struct {
	Queue handle
	N     int // completions wanted
	Chunk int // room given to one Poll; 0: all that is wanted
}

// collectCompletions polls a queue until it has N completions.
var collectCompletions = define("collect", func(a *agent, args collectArgs) ([]transport.Completion, error) {
	q, err := get[*transport.Queue](a, args.Queue)
	if err != nil {
		return nil, err
	}
	got := make([]transport.Completion, 0, args.N)
	var idle pause
	for len(got) < args.N {
		room := args.N - len(got)
		if args.Chunk > 0 {
			room = min(room, args.Chunk)
		}
		n, err := q.Poll(got[len(got) : len(got)+room])
		got = got[:len(got)+n]
		switch {
		case err != nil:
			return got, err
		case n > 0:
			idle = pause{}
		case idle.waited() > a.patience:
			return got, fmt.Errorf("%w (%v): %d completions wanted, %d came", errDeadline, a.patience, args.N, len(got))
		default:
			idle.wait()
		}
	}
	return got, nil
})

type pollArgs struct {
	Queue handle
	Room  int
}

// pollOnce is a single Poll.
var pollOnce = define("poll", func(a *agent, args pollArgs) ([]transport.Completion, error) {
	q, err := get[*transport.Queue](a, args.Queue)
	if err != nil {
		return nil, err
	}
	got := make([]transport.Completion, args.Room)
	n, err := q.Poll(got)
	return got[:n], err
})

type waitArgs struct {
	Queue     handle
	Room      int
	Spin      time.Duration
	Timeout   time.Duration // 0: the suite's patience
	Solicited bool
}

// waitCompletions is a single Wait or WaitSolicited.
var waitCompletions = define("wait", func(a *agent, args waitArgs) ([]transport.Completion, error) {
	q, err := get[*transport.Queue](a, args.Queue)
	if err != nil {
		return nil, err
	}
	timeout := args.Timeout
	if timeout == 0 {
		timeout = a.patience
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	got := make([]transport.Completion, args.Room)
	wait := q.Wait
	if args.Solicited {
		wait = q.WaitSolicited
	}
	n, err := wait(ctx, got, args.Spin)
	return got[:n], err
})
