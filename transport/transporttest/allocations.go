package transporttest

import (
	"fmt"
	"math"
	"runtime"
	"testing"

	"github.com/rfaas-go/rfaas/transport"
)

var allocationTests = []test{
	{"allocations/none for posting and polling any operation", needs{exact: true, noRace: true}, allocations},
}

// measureArgs are those of one measurement.
type measureArgs struct {
	Loop     loopArgs
	Request  request
	Batch    int // requests in one post
	Attempts int
}

// attemptRuns is how many posts are averaged over. When the other end is slow,
// on a busy machine, a provider may do more than usual, and allocate; so there
// are many short attempts, and the best one counts.
const attemptRuns = 5

// measureAllocations posts and polls, again and again, and returns how many
// allocations a post takes on average, at best. It counts those of the whole
// process, so the other end's as well when that is in the same one.
var measureAllocations = define("measure allocations", func(a *agent, args measureArgs) (float64, error) {
	l, err := a.loop(args.Loop)
	if err != nil {
		return 0, err
	}
	wr, err := a.build(args.Request)
	if err != nil {
		return 0, err
	}
	batch := make([]transport.WorkRequest, args.Batch)
	for i := range batch {
		batch[i] = wr
	}
	got := make([]transport.Completion, args.Batch)
	once := func() {
		for left := batch; len(left) > 0 && l.err == nil; runtime.Gosched() {
			n, err := l.conn.Post(left...)
			left = left[n:]
			if err != nil && err != transport.ErrQueueFull {
				l.err = err
			}
		}
		var idle pause
		for n := 0; n < args.Batch && l.err == nil; {
			polled, err := l.sent.Poll(got)
			for i := range got[:polled] {
				if got[i].Status != transport.StatusOK {
					l.err = got[i].Err()
				}
			}
			n += polled
			switch {
			case err != nil:
				l.err = err
			case polled > 0:
				idle = pause{}
			case idle.waited() > a.patience:
				l.err = fmt.Errorf("%w (%v): a completion", errDeadline, a.patience)
			default:
				idle.wait()
			}
		}
	}
	best := math.Inf(1)
	for range args.Attempts {
		best = min(best, testing.AllocsPerRun(attemptRuns, once))
	}
	return best, l.err
})

// allocations measures each operation, and that of the receiver with it.
func allocations(p *pair) {
	const n = 64
	attempts := max(5, p.rounds(20))
	l := p.connect(shape{inline: min(n, p.maxInline())})
	l.eachWay(func(l link) {
		local, there := l.a.alloc(n, transport.LocalOnly), l.b.alloc(n, transport.RemoteAll)
		requests := []request{
			write(1, local.all(), there.whole),
			write(2, local.at(0, 8), there.whole).and(local.at(8, 8)),
			read(3, local.all(), there.whole),
			fetchAdd(4, local.at(0, 8), there.whole, 1),
			compareSwap(5, local.at(0, 8), there.whole, 0, 1),
			send(6, local.all()),
			writeImm(7, local.all(), there.whole, 1),
		}
		if l.a.conn.Inline > 0 {
			requests = append(requests, write(8, local.at(0, l.a.conn.Inline), there.whole).with(transport.Inline))
		}
		for _, r := range requests {
			if !l.a.caps.Ops.Has(r.Op) || !l.b.caps.Ops.Has(r.Op) {
				continue
			}
			for _, batch := range []int{1, 16} {
				var receiving *future[float64]
				if r.Op == transport.OpSend || r.Op == transport.OpWriteImm {
					receiving = measureReceiver.start(l.b.end, consumeArgs{
						Loop: l.b.loopArgs(), Into: l.b.alloc(n*l.b.recvDepth, transport.LocalOnly).all(),
						Bytes: n, Depth: l.b.recvDepth, Count: attempts * (attemptRuns + 1) * batch, // AllocsPerRun adds one to warm up
					})
				}
				average := measureAllocations.must(l.a.end, measureArgs{l.a.loopArgs(), r, batch, attempts})
				if average != 0 {
					l.a.fatalf("%v in posts of %d: %v allocations each", r.Op, batch, average)
				}
				if receiving != nil {
					if average := receiving.must(); average != 0 {
						l.b.fatalf("receiving %v in posts of %d: %v allocations each", r.Op, batch, average)
					}
				}
			}
		}
	})
}

// measureReceiver receives messages and returns how many allocations, of the
// whole process, that took for each, at best.
var measureReceiver = define("measure receiver", func(a *agent, args consumeArgs) (float64, error) {
	l, err := a.loop(args.Loop)
	if err != nil {
		return 0, err
	}
	into, err := get[*transport.Region](a, args.Into.Region)
	if err != nil {
		return 0, err
	}
	receives := make([]transport.WorkRequest, args.Depth)
	for i := range receives {
		receives[i] = transport.Recv(uint64(i), into.Span(i*args.Bytes, args.Bytes))
	}
	posted := min(args.Depth, args.Count)
	l.postRecv(receives[:posted]...)
	best := math.Inf(1)
	var before, after runtime.MemStats
	for received := 0; received < args.Count && l.err == nil; {
		n := min(attemptRuns, args.Count-received)
		runtime.ReadMemStats(&before)
		for range n {
			c := l.take(l.received)
			if l.err == nil {
				l.err = c.Err()
			}
			if l.err == nil && posted < args.Count {
				posted++
				_, l.err = l.conn.PostRecv(receives[c.ID])
			}
		}
		runtime.ReadMemStats(&after)
		received += n
		best = min(best, float64((after.Mallocs-before.Mallocs)/uint64(n))) // rounded down, as AllocsPerRun does
	}
	return best, l.err
})
