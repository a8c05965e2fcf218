package transporttest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

var sleepTests = []test{
	{"sleep/a sleeper is woken by whatever happens", needs{ops: transport.Ops(transport.OpSend)}, wakeSleepers},
	{"sleep/a sleeper for solicited messages sleeps through others", needs{ops: transport.Ops(transport.OpSend), features: transport.FeatureEvents}, sleepUnsolicited},
	{"sleep/no wake-up is lost in a volley with random delays", needs{ops: transport.Ops(transport.OpSend)}, volleys},
	{"sleep/a cancelled wait loses nothing", needs{ops: transport.Ops(transport.OpSend)}, cancelledWaits},
	{"sleep/after a cancelled wait the buffer is still the device's", needs{ops: transport.Ops(transport.OpSend)}, cancelledBuffer},
	{"sleep/an idle sleeper uses no processor", needs{features: transport.FeatureEvents, twoProcesses: true}, idleSleeper},
}

// delays is how long a sleeper is left alone before it is woken: not at all,
// while it may still be on its way to sleep, and long enough to be there.
var delays = []time.Duration{0, 20 * time.Microsecond, 5 * time.Millisecond}

// wakers are what side b of a connection sleeps for, and how it is woken.
var wakers = []struct {
	what    string
	op      transport.Op
	ownSend bool // b sleeps for the completion of its own send, which nobody solicits; else for that of a receive
	wake    func(l link, flags transport.Flags)
}{
	{"a message", transport.OpSend, false, func(l link, flags transport.Flags) { l.a.post(send(1, place{}).with(flags)) }},
	{"immediate data", transport.OpWriteImm, false, func(l link, flags transport.Flags) {
		l.a.post(writeImm(1, place{}, transport.RemoteSpan{}, 1).with(flags))
	}},
	{"the completion of its own send", transport.OpSend, true, func(l link, _ transport.Flags) { l.a.postRecv(recv(1, place{})) }},
	{"the peer's Close", transport.OpSend, false, func(l link, _ transport.Flags) { l.a.close() }},
	{"its own Close", transport.OpSend, false, func(l link, _ transport.Flags) { l.b.close() }},
	{"a failure", transport.OpSend, false, func(l link, _ transport.Flags) {
		l.a.post(send(1, l.a.alloc(1, transport.LocalOnly).all()))
	}},
}

// sleep starts a wait at the queue's end.
func (q queue) sleep(room int, solicited bool) *future[[]transport.Completion] {
	return waitCompletions.start(q.end, waitArgs{Queue: q.id, Room: room, Solicited: solicited})
}

// wakeSleepers has one end sleep and wakes it by each of the things that it may
// sleep for.
func wakeSleepers(p *pair) {
	for _, w := range wakers {
		for _, flags := range []transport.Flags{0, transport.Solicited} {
			solicited := flags != 0
			if !p.has(w.op) || solicited && w.ownSend {
				continue
			}
			for i, delay := range delays {
				l := p.connect(shape{}).turned(i)
				q := l.b.received
				if w.ownSend {
					q = l.b.sent
					l.b.post(send(1, place{}))
				} else {
					l.b.postRecv(recv(1, place{}))
				}
				sleeping := q.sleep(4, solicited)
				time.Sleep(delay)
				w.wake(l, flags)
				if got, err := sleeping.wait(); err != nil || len(got) != 1 {
					l.b.fatalf("a sleeper (for solicited messages only: %v), to be woken by %s after %v: %d completions, %v", solicited, w.what, delay, len(got), err)
				}
			}
		}
	}
	for _, delay := range delays {
		q := p.b.queue(1)
		sleeping := q.sleep(1, false)
		time.Sleep(delay)
		closeObject.must(p.b, q.id)
		if got, err := sleeping.wait(); len(got) != 0 || !errors.Is(err, transport.ErrClosed) {
			p.b.fatalf("a sleeper whose queue is closed after %v: %d completions, %v", delay, len(got), err)
		}
	}
}

// sleepUnsolicited sends messages without and then with the Solicited flag. A
// sleeper may wake without need now and then, but not each time.
func sleepUnsolicited(p *pair) {
	const tries, unsolicited = 10, 3
	sleptThrough := 0
	l := p.connect(shape{})
	for range tries {
		l.b.postRecv(emptyRecvs(0, unsolicited+1)...)
		sleeping := l.b.received.sleep(unsolicited+1, true)
		time.Sleep(look / 2) // until it sleeps
		l.a.do(emptySends(0, unsolicited)...)
		time.Sleep(look / 2)
		slept := !sleeping.finished()
		l.a.do(send(9, place{}).with(transport.Solicited))
		got, err := sleeping.wait()
		if err != nil || len(got) == 0 {
			l.b.fatalf("a sleeper that a solicited message should wake: %d completions, %v", len(got), err)
		}
		if slept {
			sleptThrough++
		}
		got = append(got, l.b.received.collect(unsolicited+1-len(got))...)
		for i, c := range got {
			if c.ID != uint64(i) || c.Status != transport.StatusOK {
				l.b.fatalf("receive %d completes as %+v", i, c)
			}
		}
	}
	if sleptThrough == 0 {
		p.Fatalf("in %d tries, unsolicited messages woke the sleeper each time", tries)
	}
}

// volleyArgs are those of one side of a volley.
type volleyArgs struct {
	Loop   loopArgs // one queue for everything
	Serve  bool     // sends first
	Rounds int
	Seed   uint64
	Wander time.Duration // the longest random delay before each step
	Hot    bool          // never sleep
}

// playVolley sends a message, sleeps until the answer comes, and so on.
var playVolley = action("volley", func(a *agent, args volleyArgs) {
	l := a.loop(args.Loop)
	random := rand.New(rand.NewPCG(args.Seed, 1))
	wander := func() {
		for end := time.Now().Add(time.Duration(random.Int64N(int64(args.Wander) + 1))); time.Now().Before(end); {
		}
	}
	const receives = 4
	for range receives {
		l.postRecv(transport.Recv(1, transport.Span{}))
	}
	spins := []time.Duration{transport.Warm, time.Microsecond, 30 * time.Microsecond}
	if args.Hot {
		spins = []time.Duration{transport.Hot}
	}
	var got [8]transport.Completion
	sent, received := 0, 0
	for sent < args.Rounds || received < args.Rounds {
		if sent < args.Rounds && (received > sent || received == sent && args.Serve) {
			wander()
			l.post(transport.Send(2, transport.Span{}).With(transport.Signaled))
			sent++
			continue
		}
		wander()
		ctx, cancel := a.bound(0)
		n, err := l.sent.Wait(ctx, got[:], spins[random.IntN(len(spins))])
		cancel()
		if err != nil {
			missed, _ := l.sent.Poll(got[:])
			check(fmt.Errorf("after %d messages out and %d in, the sleeper was not woken; a poll now finds %d completions: %w", sent, received, missed, err))
		}
		for _, c := range got[:n] {
			check(c.Err())
			if c.Op == transport.OpRecv {
				received++
				l.postRecv(transport.Recv(1, transport.Span{}))
			}
		}
	}
})

// volleys has both ends sleep and wake each other, many times, with random
// delays that let messages come before, while and after the other goes to sleep.
func volleys(p *pair) {
	play := func(wander time.Duration, hot bool, rounds int) {
		l := p.connect(shape{oneQueue: true})
		side := func(s side, serve bool) *future[none] {
			return playVolley.start(s.end, volleyArgs{s.loopArgs(), serve, rounds, p.random.Uint64(), wander, hot})
		}
		near, far := side(l.a, true), side(l.b, false)
		near.must()
		far.must()
	}
	for _, wander := range []time.Duration{0, 5 * time.Microsecond, 60 * time.Microsecond} {
		play(wander, false, p.rounds(3000))
	}
	play(0, true, p.rounds(300))
}

// cancelledWaits lets the context of waits end at about the moment when messages
// arrive. Every message is delivered, to that wait or to a later one.
func cancelledWaits(p *pair) {
	l := p.connect(shape{})
	timeouts, delivered := 0, 0
	for range p.rounds(150) {
		l.b.postRecv(recv(1, place{}))
		timeout := time.Duration(1 + p.random.Int64N(int64(400*time.Microsecond)))
		waiting := waitCompletions.start(l.b.end, waitArgs{Queue: l.b.received.id, Room: 4, Timeout: timeout})
		p.dally(400 * time.Microsecond)
		l.a.do(send(1, place{}))
		got, err := waiting.wait()
		switch {
		case errors.Is(err, context.DeadlineExceeded) && len(got) == 0:
			timeouts++
			l.b.expectReceived(received(1, 0))
		case err == nil && len(got) == 1 && got[0].Status == transport.StatusOK:
			delivered++
		default:
			l.b.fatalf("a wait for %v: %v, %v", timeout, got, err)
		}
		l.b.received.expectNone("each message was delivered once")
	}
	p.Logf("%d waits timed out, %d delivered", timeouts, delivered)
}

// cancelledBuffer cancels a wait for a receive. Its buffer is filled all the
// same when the message comes, and the next wait tells.
func cancelledBuffer(p *pair) {
	p.connect(shape{}).eachWay(func(l link) {
		const n = 500
		from, payload := l.a.filled(n, transport.LocalOnly)
		into := l.b.alloc(n, transport.LocalOnly)
		l.b.postRecv(recv(7, into.all()))
		got, err := waitCompletions.on(l.b.end, waitArgs{Queue: l.b.received.id, Room: 1, Timeout: time.Millisecond})
		if len(got) != 0 || !errors.Is(err, context.DeadlineExceeded) {
			l.b.fatalf("a wait for nothing: %v, %v", got, err)
		}
		l.a.do(send(1, from.all()))
		got, err = waitCompletions.on(l.b.end, waitArgs{Queue: l.b.received.id, Room: 1})
		if err != nil || len(got) != 1 || got[0].ID != 7 || got[0].Bytes != n {
			l.b.fatalf("the next wait: %v, %v", got, err)
		}
		into.expect("a receive whose wait was cancelled", 0, n, payload)
	})
}

// processorTime is the processor time that the process has used.
var processorTime = define("processor time", func(*agent, none) (time.Duration, error) {
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), err
})

// idleSleeper leaves an end asleep. One that polled would use nearly all of the
// time; the bound leaves room for the rest of the process.
func idleSleeper(p *pair) {
	l := p.connect(shape{})
	l.b.postRecv(recv(1, place{}))
	sleeping := l.b.received.sleep(1, false)
	const asleep = 200 * time.Millisecond
	before := processorTime.must(l.b.end, false)
	time.Sleep(asleep)
	used := processorTime.must(l.b.end, false) - before
	p.Logf("asleep for %v, the peer process used %v of processor time", asleep, used)
	if used > asleep/4 {
		p.Fatalf("asleep for %v, the peer process used %v of processor time", asleep, used)
	}
	l.a.do(send(1, place{}))
	if got, err := sleeping.wait(); err != nil || len(got) != 1 {
		l.b.fatalf("the sleeper: %v, %v", got, err)
	}
}
