package softroce

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/internal/slowlink"
	"github.com/rfaas-go/rfaas/transport"
)

func counted(e *pairtest.End) map[string]uint64 { return e.Dev.Adapter().(*Adapter).Counters() }

// Packets come in order, none before it is due, and what does not fit is lost.
func TestSlowNetwork(t *testing.T) {
	t.Parallel()
	e := &engine{adapter: &Adapter{mtu: 256}, socket: &socket{raw: true}, start: time.Now()}
	s := newSlowNetwork(e, faultConfig{link: slowlink.Config{Delay: time.Millisecond, Jitter: time.Microsecond, Rate: 8e9}, seed: 1})
	require.Equal(t, never, s.first())
	require.Equal(t, never, s.last())
	const rounds = 3
	from := &sockaddr{len: 7}
	require.False(t, s.add(0, make([]byte, 256+slowHeaders+1), from), "larger than any packet of RoCE")
	for round := range time.Duration(rounds) {
		begun := round * time.Hour
		for i := range slowPackets {
			require.True(t, s.add(begun, []byte{byte(i), byte(i >> 8)}, from))
		}
		require.False(t, s.add(begun, []byte{1}, from))
		for i := range slowPackets {
			due := s.first()
			require.GreaterOrEqual(t, due, begun+time.Duration(2*i+2)+time.Millisecond-time.Microsecond) // 2 ns each
			packet, _ := s.take(due - 1)
			require.Nil(t, packet)
			packet, sender := s.take(due)
			require.Equal(t, []byte{byte(i), byte(i >> 8)}, packet)
			require.Equal(t, from, sender)
		}
		require.Equal(t, never, s.first())
	}
}

// What finds no room is counted, and so is the rest.
func TestOverflow(t *testing.T) {
	t.Parallel()
	e := &engine{adapter: &Adapter{mtu: 256}, socket: &socket{}, start: time.Now(), due: never}
	f := newFaults(e, faultConfig{link: slowlink.Config{Delay: time.Hour}})
	for range slowPackets + 3 {
		f.pass([]byte("packet"), &sockaddr{})
	}
	require.EqualValues(t, slowPackets, e.counters.FaultsDelayed)
	require.EqualValues(t, 3, e.counters.FaultsOverflowed)
	require.False(t, f.release())
	require.Equal(t, f.slow.first(), e.due)
	f.slow.start = f.slow.start.Add(-2 * time.Hour)
	require.True(t, f.release())
	require.EqualValues(t, slowShare, e.counters.PacketsReceived, "no more in one go")
	for f.release() {
	}
	require.EqualValues(t, slowPackets, e.counters.PacketsReceived)
	require.Equal(t, never, e.due)
}

// pingPong sends back and forth, and returns how long each round took.
func pingPong(t *testing.T, x, y *pairtest.End, rounds int, spin time.Duration) (took []time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), pairtest.Patience)
	defer cancel()
	const received, sent = 1, 2
	send := transport.Send(sent, transport.Span{}).With(transport.Signaled)
	receive := transport.Recv(received, transport.Span{})
	take := func(e *pairtest.End) {
		for came := false; !came; {
			var c [1]transport.Completion
			if _, err := e.Queue.Wait(ctx, c[:], spin); err != nil || c[0].Status != transport.StatusOK {
				t.Error(err, c[0])
				return
			}
			came = c[0].ID == received
		}
	}
	y.Recv(receive)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range rounds {
			take(y)
			y.Recv(receive)
			y.Post(send)
		}
	}()
	for range rounds {
		x.Recv(receive)
		begun := time.Now()
		x.Post(send)
		take(x)
		took = append(took, time.Since(begun))
	}
	<-done
	return took
}

// A round takes the delay twice, whoever drives: programs that poll, or the background
// sides while all sleep.
func TestDelay(t *testing.T) {
	t.Parallel()
	for name, spin := range map[string]time.Duration{"polling": time.Second, "asleep": transport.Warm} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, y := pairtest.New(t, "softroce:?delay=1ms")
			for _, took := range pingPong(t, x, y, 20, spin) {
				require.GreaterOrEqual(t, took, 2*time.Millisecond)
			}
			require.NotZero(t, counted(x)["faults_delayed"])
			require.Zero(t, counted(x)["faults_overflowed"])
		})
	}
}

// Packets follow each other at the rate.
func TestRate(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:?rate=100Mbit")
	const size = 100_000 // 8 ms
	local, remote := x.Alloc(size, transport.LocalOnly), y.Alloc(size, transport.RemoteAll)
	for i := range local.Bytes() {
		local.Bytes()[i] = byte(i * 7)
	}
	begun := time.Now()
	x.Post(transport.Write(1, local.Span(0, size), remote.Remote(0, size)).With(transport.Signaled))
	require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
	require.GreaterOrEqual(t, time.Since(begun), 8*time.Millisecond)
	require.Equal(t, local.Bytes(), remote.Bytes())
}

// What a peer sent before it closed arrives, although the stream is quicker.
func TestEndWaitsForWhatIsHeldBack(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:?delay=30ms&min-timeout=1s")
	y.Recv(transport.Recv(1, transport.Span{}), transport.Recv(2, transport.Span{}))
	x.Post(transport.Send(1, transport.Span{}))
	require.NoError(t, x.Conn.Close())
	require.Equal(t, transport.StatusOK, y.Take(1)[0].Status)
	require.Equal(t, transport.StatusFlushed, y.Take(1)[0].Status)
}
