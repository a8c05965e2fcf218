package transporttest

import (
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

var newQueue = define("new queue", func(a *agent, depth int) (handle, error) {
	return a.put(must(a.dev.NewQueue(depth))), nil
})

type sharedArgs struct {
	Domain, Queue handle
	Depth         int
}

var newShared = define("new shared receive queue", func(a *agent, args sharedArgs) (handle, error) {
	d, q := get[*transport.ProtectionDomain](a, args.Domain), get[*transport.Queue](a, args.Queue)
	return a.put(must(d.NewSharedReceive(q, args.Depth))), nil
})

type collectArgs struct {
	Queue handle
	N     int // completions wanted
	Chunk int // room given to one Poll; 0: all that is wanted
}

// collectCompletions polls a queue until it has N completions.
var collectCompletions = define("collect", func(a *agent, args collectArgs) ([]transport.Completion, error) {
	q := get[*transport.Queue](a, args.Queue)
	got := make([]transport.Completion, 0, args.N)
	for idle := (pause{}); len(got) < args.N; {
		room := args.N - len(got)
		if args.Chunk > 0 {
			room = min(room, args.Chunk)
		}
		n, err := q.Poll(got[len(got) : len(got)+room])
		got = got[:len(got)+n]
		if err == nil {
			err = idle.after(n > 0, a.patience, "completions")
		}
		if err != nil {
			return got, fmt.Errorf("%w; %d completions wanted, %d came", err, args.N, len(got))
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
	got := make([]transport.Completion, args.Room)
	n, err := get[*transport.Queue](a, args.Queue).Poll(got)
	return got[:n], err
})

type waitArgs struct {
	Queue     handle
	Room      int
	Timeout   time.Duration // 0: the suite's patience
	Solicited bool
}

// waitCompletions is a single Wait or WaitSolicited, which does not spin.
var waitCompletions = define("wait", func(a *agent, args waitArgs) ([]transport.Completion, error) {
	q := get[*transport.Queue](a, args.Queue)
	ctx, cancel := a.bound(args.Timeout)
	defer cancel()
	got := make([]transport.Completion, args.Room)
	wait := q.Wait
	if args.Solicited {
		wait = q.WaitSolicited
	}
	n, err := wait(ctx, got, 0)
	return got[:n], err
})
