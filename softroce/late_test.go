package softroce

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// A process that did not run for long finds its timers due, and what they wait for in
// its socket, behind other packets: nothing is sent again.
func TestWhatHasArrivedComesBeforeTimers(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:?retries=1&min-timeout=30s&ack-timeout=60s")
	ex, ey := x.Dev.Adapter().(*Adapter), y.Dev.Adapter().(*Adapter)
	mx, my := x.Alloc(4096, transport.RemoteAll), y.Alloc(4096, transport.RemoteAll)
	write := transport.Write(1, mx.Span(0, 8), my.Remote(0, 8)).With(transport.Signaled)
	x.Post(write) // how long an answer takes is known then
	require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)

	// Neither engine runs; the request is under way.
	ey.engine.Lock()
	x.Post(write)
	ex.engine.Lock()
	before := ex.engine.counters
	// y has packets of its own, then answers.
	for i := range 5 {
		y.Post(transport.Write(uint64(i), my.Span(0, 100*(i+1)), mx.Remote(0, 4096))) // of several lengths: each its own message
	}
	answered := ey.engine.counters.AcksSent + 1
	ey.engine.Unlock()
	require.Eventually(t, func() bool { return ey.Counters()["acks_sent"] >= answered }, pairtest.Patience, time.Millisecond)
	// An hour passes for x.
	ex.engine.now += time.Hour
	ex.engine.drive(true)
	ex.engine.readClock()
	ex.engine.Unlock()
	require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
	after := ex.Counters()
	require.Equal(t, before.Timeouts, after["timeouts"])
	require.Equal(t, before.Probes, after["probes"])
	require.Equal(t, before.Retransmitted, after["retransmitted"])
}
