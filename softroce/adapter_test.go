package softroce

import (
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/softroce/wire"
	"github.com/rfaas-go/rfaas/transport"
)

// Engines that nobody gave an address each find one, with RoCE's port.
func TestOpenSeveralOnLoopback(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 5 {
		a, err := Open(&url.URL{Scheme: "softroce"})
		require.NoError(t, err)
		defer func() { require.NoError(t, a.Close()) }()
		require.True(t, a.Address().Addr().IsLoopback())
		require.EqualValues(t, wire.Port, a.Address().Port())
		require.False(t, seen[a.Address().String()])
		seen[a.Address().String()] = true
	}
}

// A program that collects counters may do so while another part of it closes the
// device.
func TestCountersAfterClose(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:")
	x.Post(transport.Send(1, transport.Span{}).With(transport.Signaled))
	y.Recv(transport.Recv(1, transport.Span{}))
	x.Take(1)
	a := x.Dev.Adapter().(*Adapter)
	require.NoError(t, x.Dev.Close())
	require.NotZero(t, a.Counters()["packets_sent"])
	a.Tap(nil)
}

// Nobody who sends without a pause keeps an engine from closing.
func TestCloseUnderFlood(t *testing.T) {
	t.Parallel()
	a, err := Open(&url.URL{Scheme: "softroce"})
	require.NoError(t, err)
	conn, err := net.Dial("udp4", a.Address().String())
	require.NoError(t, err)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		garbage := make([]byte, 100)
		for {
			select {
			case <-stop:
				return
			default:
				conn.Write(garbage) // fails once the engine is closed
			}
		}
	}()
	for a.Counters()["unknown_queue_pair"] < 1000 {
		time.Sleep(time.Millisecond)
	}
	closed := make(chan error)
	go func() { closed <- a.Close() }()
	select {
	case err := <-closed:
		require.NoError(t, err)
	case <-time.After(pairtest.Patience):
		t.Error("the engine does not close")
	}
	close(stop)
	<-stopped
	require.NoError(t, conn.Close())
}

// Each fault that is asked for is injected, and no other; what was written arrives.
func TestFaultsAreInjected(t *testing.T) {
	t.Parallel()
	all := []string{"loss", "duplicate", "reorder", "corrupt"}
	counter := map[string]string{"loss": "faults_lost", "duplicate": "faults_duplicated", "reorder": "faults_reordered", "corrupt": "faults_corrupted"}
	for _, asked := range append(all, "") {
		t.Run("only "+asked, func(t *testing.T) {
			t.Parallel()
			url := "softroce:"
			if asked != "" {
				url += "?" + asked + "=0.1"
			}
			x, y := pairtest.New(t, url)
			from, to := x.Alloc(8, transport.LocalOnly), y.Alloc(8, transport.RemoteAll)
			for i := range uint64(300) {
				from.Uint64(0).Store(i)
				x.Post(transport.Write(i, from.Span(0, 8), to.Remote(0, 8)).With(transport.Signaled))
				require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
				require.Equal(t, i, to.Uint64(0).Load())
			}
			counters := y.Dev.Adapter().(*Adapter).Counters()
			for _, fault := range all {
				require.Equal(t, fault == asked, counters[counter[fault]] > 0, "%s: %v", fault, counters)
			}
		})
	}
}

// Whatever arrives, the injection of faults has no fault of its own.
func TestEmptyDatagrams(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:?corrupt=0.1&duplicate=0.1&reorder=0.1")
	a := x.Dev.Adapter().(*Adapter)
	conn, err := net.Dial("udp4", a.Address().String())
	require.NoError(t, err)
	defer conn.Close()
	for range 200 {
		_, err := conn.Write(nil)
		require.NoError(t, err)
	}
	region, remote := x.Alloc(8, transport.LocalOnly), y.Alloc(8, transport.RemoteAll)
	x.Post(transport.Read(1, region.Span(0, 8), remote.Remote(0, 8)).With(transport.Signaled))
	require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
	require.NotZero(t, a.Counters()["malformed"])
}

// Both ends know why a connection failed, not only the one that found it.
func TestPeerIsToldWhy(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:?rnr-retries=0")
	x.Post(transport.Send(1, transport.Span{})) // there is no receive for it
	require.ErrorContains(t, x.Ended(), "the peer has no receive posted")
	require.ErrorContains(t, y.Ended(), "the peer's end of the connection failed: it says: ")
	require.ErrorContains(t, y.Ended(), "the peer has no receive posted")
}
