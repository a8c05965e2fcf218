package rc_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/internal/rc"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// endless is the program of TestMessageNumbersWrap: it has as many receives as it
// is given, all of them empty.
type endless struct {
	t              *testing.T
	sent, received int
	posted         int
}

func (e *endless) Local(transport.Span) ([]byte, bool) { return nil, true }
func (e *endless) Remote(uint32, uint64, uint32, transport.Access) ([]byte, bool) {
	return nil, false
}
func (e *endless) Posted() int { return e.posted }
func (e *endless) Take() (wr transport.WorkRequest, ok bool) {
	if e.posted == 0 {
		return wr, false
	}
	e.posted--
	return wr, true
}
func (e *endless) Sent(c transport.Completion, entries int) {
	if c.Status != transport.StatusOK {
		e.t.Fatalf("%+v", c)
	}
	e.sent += entries
}
func (e *endless) Received(*transport.WorkRequest, transport.Completion, bool) { e.received++ }
func (e *endless) Failed(reason error, _ bool)                                 { e.t.Fatal(reason) }

// TestMessageNumbersWrap sends so many messages that their number, which begins at
// 0 and has 24 bits on the wire, wraps, with credits that are always short.
func TestMessageNumbersWrap(t *testing.T) {
	if *walks < 10_000 {
		t.Skip("takes seconds: with -walks=10000 or more")
	}
	t.Parallel()
	const after = 10_000
	const all = 1<<24 + after
	var counters rc.Counters
	now := time.Second
	make := func(e *endless) *rc.QueuePair {
		return rc.New(rc.Config{
			MTU: 1024, SendDepth: 64, MaxReads: 1, Resources: 1, RNRTimer: 31, RNRRetries: rc.RNRForEver, Retries: 0,
			MinTimeout: time.Second, AckTimeout: time.Second, Window: 64,
			Memory: e, Receives: e, Sink: e, Counters: &counters,
		})
	}
	from, to := &endless{t: t}, &endless{t: t}
	a, b := make(from), make(to)
	var p wire.Packet
	posted, turns := 0, 0 // turns since the numbers have wrapped
	for from.sent < all {
		for posted < all && posted-from.sent < 64 {
			wr := transport.Send(uint64(posted), transport.Span{}).With(transport.Signaled)
			a.Post(&wr)
			posted++
		}
		if to.posted == 0 {
			to.posted = 40
			b.ReceivesPosted(now)
		}
		if from.sent > 1<<24 {
			turns++
		}
		if now++; now > time.Second+all {
			t.Fatalf("stuck after %d messages", from.sent) // its wait would be longer than that
		}
		for b.Next(now, true, &p) {
			a.Handle(&p, now)
		}
		for a.Next(now, true, &p) {
			b.Handle(&p, now)
		}
		for b.Next(now, true, &p) {
			a.Handle(&p, now)
		}
	}
	require.Equal(t, all, to.received)
	require.EqualValues(t, all, counters.DataSent)
	require.LessOrEqual(t, turns, after/5, "credits are of use")
	// One message is tried beyond the credits each time, and then waits.
	require.LessOrEqual(t, counters.RNRNAKsReceived, uint64(all/40+1))
}
