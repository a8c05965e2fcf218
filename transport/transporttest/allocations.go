package transporttest

import (
	"math"
	"runtime"
	"slices"
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
	l := a.loop(args.Loop)
	batch := slices.Repeat([]transport.WorkRequest{a.build(args.Request)}, args.Batch)
	got := make([]transport.Completion, args.Batch)
	once := func() {
		for left := batch; len(left) > 0; runtime.Gosched() {
			left = left[taken(l.conn.Post(left...)):]
		}
		var idle pause
		for n := 0; n < args.Batch; {
			polled, err := l.sent.Poll(got)
			check(err)
			for i := range got[:polled] {
				check(got[i].Err())
			}
			n += polled
			check(idle.after(polled > 0, a.patience, "a completion"))
		}
	}
	best := math.Inf(1)
	for range args.Attempts {
		best = min(best, testing.AllocsPerRun(attemptRuns, once))
	}
	return best, nil
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
		requests = slices.DeleteFunc(requests, func(r request) bool { return !p.has(r.Op) })
		for _, r := range requests {
			for _, batch := range []int{1, 16} {
				var receiving *future[float64]
				if r.Op == transport.OpSend || r.Op == transport.OpWriteImm {
					receiving = measureReceiver.start(l.b.end, consumeArgs{
						Loop: l.b.loopArgs(), Into: l.b.alloc(n*l.b.recvDepth, transport.LocalOnly).id,
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
	l, into := a.loop(args.Loop), get[*transport.Region](a, args.Into)
	receives := make([]transport.WorkRequest, args.Depth)
	for i := range receives {
		receives[i] = transport.Recv(uint64(i), into.Span(i*args.Bytes, args.Bytes))
	}
	posted := min(args.Depth, args.Count)
	l.postRecv(receives[:posted]...)
	best := math.Inf(1)
	var before, after runtime.MemStats
	for received := 0; received < args.Count; {
		n := min(attemptRuns, args.Count-received)
		runtime.ReadMemStats(&before)
		for range n {
			c := l.take(l.received)
			check(c.Err())
			if posted < args.Count {
				posted++
				must(l.conn.PostRecv(receives[c.ID]))
			}
		}
		runtime.ReadMemStats(&after)
		received += n
		best = min(best, float64((after.Mallocs-before.Mallocs)/uint64(n))) // rounded down, as AllocsPerRun does
	}
	return best, nil
})
