//go:build cgo && linux

package ibv

import (
	"cmp"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// Nothing on the hot path allocates.
func TestAllocs(t *testing.T) { // AllocsPerRun does not go with parallel tests
	o := open(t)
	o.quiet = 1
	qp := o.qp(t)
	srq, err := o.pd.NewSRQ(100, 2)
	require.NoError(t, err)
	defer srq.Close()
	a, b := spans(t)
	sends := []transport.WorkRequest{transport.Write(1, a, remote).WithSecondSpan(b).With(transport.Signaled), transport.Send(2, a)}
	receives := []transport.WorkRequest{transport.Recv(1, a), transport.Recv(2, b)}
	wc := make([]WC, 4)
	ch, cq, waiting := channel(t, o)
	for what, f := range map[string]func() error{
		"PostSend":     func() error { return second(qp.PostSend(sends, 1)) },
		"PostMarker":   func() error { return qp.PostMarker(1) },
		"PostRecv":     func() error { return second(qp.PostRecv(receives, 1)) },
		"SRQ.PostRecv": func() error { return second(srq.PostRecv(receives, 1)) },
		"Poll":         func() error { return second(o.cq.Poll(wc, 3)) },
		"Arm":          func() error { return o.cq.Arm(true) },
		"Wait": func() error {
			return cmp.Or(cq.Arm(false), waiting.PostMarker(1), ch.Wait(t.Context()), second(cq.Poll(wc, 0)))
		},
	} {
		var failure error
		allocs := testing.AllocsPerRun(100, func() {
			if err := f(); err != nil {
				failure = err
			}
		})
		require.NoError(t, failure, what)
		require.Zero(t, allocs, what)
	}
}

// BenchmarkPoll asks an empty queue: what a crossing costs, and what an additional
// turn in C does.
func BenchmarkPoll(b *testing.B) {
	o := open(b)
	o.quiet = 1
	wc := make([]WC, 4)
	for _, spins := range []int{0, 100} {
		b.Run(fmt.Sprintf("spins=%d", spins), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n, err := o.cq.Poll(wc, spins); n != 0 || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkPostSend posts writes; the fake's own part is the same per request.
func BenchmarkPostSend(b *testing.B) {
	o := open(b)
	o.quiet = 1
	qp := o.qp(b)
	span, _ := spans(b)
	for _, batch := range []int{1, 2, 8, 32} {
		wrs := make([]transport.WorkRequest, batch)
		for i := range wrs {
			wrs[i] = transport.Write(1, span, remote)
		}
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if n, err := qp.PostSend(wrs, 1); n != batch || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
