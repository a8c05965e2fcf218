package transporttest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// stormArgs describe one side of random traffic in both directions. Every third
// request is a message, so that each side knows how many to expect.
type stormArgs struct {
	Loop   loopArgs
	From   handle               // sources and results
	Into   handle               // receives
	To     transport.RemoteSpan // the peer's memory, for everything one-sided
	Ops    transport.OpSet
	Depth  int // SendDepth and RecvDepth
	Inline int
	Count  int // requests that this side posts; the peer posts as many
	Seed   uint64
}

// stormResult is how far a side got.
type stormResult struct {
	Posted  int
	Failure transport.Completion // of the first request that failed
	Broken  string               // Conn.Err, if the connection broke
}

const (
	stormBytes  = 256 // the longest payload, and the size of a receive
	stormBatch  = 8   // the most requests in one post
	messageEach = 3   // one request in so many is a message
)

// runStorm posts until everything is done or the connection breaks, and then
// polls until everything posted has ended.
var runStorm = define("storm", func(a *agent, args stormArgs) (stormResult, error) {
	s := &storm{
		loop: a.loop(args.Loop), stormArgs: args, random: rand.New(rand.NewPCG(args.Seed, 2)), ledger: newLedger(args.Depth),
		from: get[*transport.Region](a, args.From), into: get[*transport.Region](a, args.Into),
	}
	err := catch(s.run)
	if err != nil {
		err = fmt.Errorf("seed %d: %d requests posted, %d ended, %d receives posted, %d ended: %w",
			args.Seed, s.ledger.posted, s.ledger.ended, s.receivesPosted, s.receives.ended(), err)
	}
	r := stormResult{Posted: int(s.ledger.posted), Failure: s.ledger.failure}
	if broken := s.conn.Err(); broken != nil {
		r.Broken = broken.Error()
	}
	return r, err
})

type storm struct {
	*loop
	stormArgs
	random     *rand.Rand
	ledger     *ledger
	from, into *transport.Region
	batch      []transport.WorkRequest // built and not yet taken

	receivesPosted int
	receives       consumeResult
	probed         time.Time // when a signaled request first followed all others
}

// messages is how many of n requests are messages.
func messages(n int) int { return n / messageEach }

func (s *storm) run() {
	var got [16]transport.Completion
	var idle pause
	for {
		broken := s.conn.Err() != nil || s.ledger.failed() || s.receives.Flushed > 0
		var progress bool
		if broken {
			progress = s.probe()
		} else {
			received, sent := s.postReceives(), s.post()
			progress = received || sent
		}
		n := s.ledger.poll(s.sent, got[:])
		m := must(s.received.Poll(got[:]))
		for _, c := range got[:m] {
			check(s.receives.complete(c))
		}
		done := int(s.ledger.posted) == s.Count && s.receives.OK == messages(s.Count) || broken && s.ledger.failed() && !s.probed.IsZero()
		if done && s.ledger.settled() && s.receives.ended() == s.receivesPosted {
			return
		}
		if !s.probed.IsZero() && !s.ledger.failed() && time.Since(s.probed) > s.patience {
			check(fmt.Errorf("%w (%v): a request that fails, after the connection did", errDeadline, s.patience))
		}
		check(idle.after(progress || n+m > 0, s.patience, "anything"))
	}
}

// probe posts one more request on a broken connection, a signaled one: its completion means
// that no earlier one is still to come. It may go well, as the device of a killed process may
// still answer: then another follows, until one fails.
func (s *storm) probe() (progress bool) {
	if !s.probed.IsZero() && (s.ledger.failed() || !s.ledger.settled()) {
		return false
	}
	n := taken(s.conn.Post(transport.Send(s.ledger.next(), transport.Span{}).With(transport.Signaled)))
	if n == 1 {
		s.ledger.post(true)
		if s.probed.IsZero() {
			s.probed = time.Now()
		}
	}
	return n == 1
}

func (s *storm) postReceives() (progress bool) {
	for s.receivesPosted < messages(s.Count) && s.receivesPosted-s.receives.ended() < s.Depth {
		into := s.into.Span(s.receivesPosted%s.Depth*stormBytes, stormBytes)
		if taken(s.conn.PostRecv(transport.Recv(uint64(s.receivesPosted), into))) == 0 {
			return progress
		}
		s.receivesPosted++
		progress = true
	}
	return progress
}

func (s *storm) post() (progress bool) {
	if len(s.batch) == 0 {
		s.build()
	}
	n := taken(s.conn.Post(s.batch...))
	for _, wr := range s.batch[:n] {
		s.ledger.post(wr.Flags&transport.Signaled != 0)
	}
	s.batch = s.batch[n:]
	return n > 0
}

// taken is how many requests were taken, if no error but a full queue kept it from more.
func taken(n int, err error) int {
	if !errors.Is(err, transport.ErrQueueFull) {
		check(err)
	}
	return n
}

// build makes the next few requests.
func (s *storm) build() {
	first := int(s.ledger.next())
	for id := first; id < first+1+s.random.IntN(stormBatch) && id <= s.Count; id++ {
		wr := s.request(uint64(id))
		if s.random.IntN(10) < 7 || id == s.Count {
			wr = wr.With(transport.Signaled)
		}
		if s.random.IntN(10) == 0 {
			wr = wr.With(transport.Fence)
		}
		s.batch = append(s.batch, wr)
	}
}

// request makes request id. What the requests do to each other's memory does not
// matter here.
func (s *storm) request(id uint64) transport.WorkRequest {
	n := 1 + s.random.IntN(stormBytes)
	local := s.from.Span(int(id)%(s.Depth+1)*stormBytes, n)
	to := s.To.Slice(s.random.IntN(int(s.To.Len)-n+1), n)
	ops := []transport.Op{transport.OpWrite, transport.OpRead, transport.OpFetchAdd, transport.OpCompareSwap}
	if id%messageEach == 0 {
		ops = []transport.Op{transport.OpSend, transport.OpWriteImm}
	}
	op := ops[s.random.IntN(len(ops))]
	for !s.Ops.Has(op) {
		op = ops[s.random.IntN(len(ops))]
	}
	switch op {
	case transport.OpFetchAdd, transport.OpCompareSwap:
		result := s.from.Span(int(id)%(s.Depth+1)*stormBytes, 8)
		return numbered(id, op, result, s.To.Slice(s.random.IntN(int(s.To.Len)/8)*8, 8))
	case transport.OpRead:
		return numbered(id, op, local, to)
	}
	wr := numbered(id, op, local, to)
	if n <= s.Inline && s.random.IntN(3) == 0 {
		wr = wr.With(transport.Inline)
	}
	return wr
}
