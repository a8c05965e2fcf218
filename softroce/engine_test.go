package softroce

import (
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

func engineOf(e *pairtest.End) *engine { return e.Dev.Adapter().(*Adapter).engine }

// A request that is posted while another goroutine holds the engine lock is sent by it on
// release: no other may come for a long time.
func TestWorkLeftToTheLockHolderIsDone(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:")
	y.Recv(transport.Recv(1, transport.Span{}))
	e := engineOf(x)
	time.Sleep(2 * lookPeriod) // until the background side sleeps; otherwise it would help
	e.Lock()
	x.Post(transport.Send(1, transport.Span{}))
	require.NotNil(t, e.posts.Load())
	e.Unlock()
	require.Equal(t, transport.StatusOK, y.Take(1)[0].Status)
}

// A program that polled is relied on; when it stays away, the background side takes
// over.
func TestTakeOverFromAPoller(t *testing.T) {
	t.Parallel()
	x, y := pairtest.New(t, "softroce:?min-timeout=1s")
	local, remote := x.Alloc(8, transport.LocalOnly), y.Alloc(8, transport.RemoteAll)
	write := func() { x.Post(transport.Write(1, local.Span(0, 8), remote.Remote(0, 8)).With(transport.Signaled)) }
	b := engineOf(y).background
	var c [1]transport.Completion
	deadline := time.Now().Add(pairtest.Patience)
	relied := false
	for !relied && time.Now().Before(deadline) {
		write()
		for n := 0; n == 0; n, _ = x.Queue.Poll(c[:]) {
			y.Queue.Poll(c[:])
		}
		relied = !b.serving.Load()
	}
	require.True(t, relied, "the background side does not leave it to the program")
	write() // and y does nothing more
	require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
	require.Zero(t, x.Dev.Adapter().(*Adapter).Counters()["timeouts"])
}

// A message that arrived has arrived, also when its acknowledgement is lost and the
// peer closes: it says so on the set-up stream.
func TestLastWordOfAClosingPeer(t *testing.T) {
	t.Parallel()
	x := pairtest.NewEnd(t, "softroce:?loss=0.999999999") // hears nothing
	y := pairtest.NewEnd(t, "softroce:")
	x.Conn, y.Conn = pairtest.Connect(t, x, y, x.Config(), y.Config())
	y.Recv(transport.Recv(1, transport.Span{}))
	x.Post(transport.Send(1, transport.Span{}).With(transport.Signaled), transport.Send(2, transport.Span{}).With(transport.Signaled))
	require.Equal(t, transport.StatusOK, y.Take(1)[0].Status)
	require.NoError(t, y.Conn.Close())
	got := x.Take(2)
	require.Equal(t, transport.StatusOK, got[0].Status)
	require.Equal(t, transport.StatusFlushed, got[1].Status, "there was no receive for it")
}

// What is read or written may change meanwhile, and the checksums of the packets hold.
func TestChangingMemory(t *testing.T) {
	t.Parallel()
	const size = 64 << 10
	for name, test := range map[string]struct {
		sender  int
		request func(local, remote *transport.Region) transport.WorkRequest
	}{
		"read": {1, func(l, r *transport.Region) transport.WorkRequest {
			return transport.Read(1, l.Span(0, size), r.Remote(0, size))
		}},
		"write": {0, func(l, r *transport.Region) transport.WorkRequest {
			return transport.Write(1, l.Span(0, size), r.Remote(0, size))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, y := pairtest.New(t, "softroce:")
			regions := [2]*transport.Region{x.Alloc(size, transport.LocalOnly), y.Alloc(size, transport.RemoteAll)}
			changing := regions[test.sender].Bytes()
			stop := make(chan struct{})
			var writer sync.WaitGroup
			writer.Go(func() {
				for n := uint64(0); ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					for at := 0; at < size; at += 64 {
						pages.Word(changing[at:]).Store(n)
					}
				}
			})
			for range 300 {
				x.Post(test.request(regions[0], regions[1]).With(transport.Signaled))
				require.Equal(t, transport.StatusOK, x.Take(1)[0].Status)
			}
			close(stop)
			writer.Wait()
			for _, e := range []*pairtest.End{x, y} {
				require.Zero(t, e.Dev.Adapter().(*Adapter).Counters()["icrc_failures"])
			}
		})
	}
}

// A background side that was stopped stops, whatever there is to do.
func TestStoppedBackgroundLeavesTheRest(t *testing.T) {
	t.Parallel()
	a, err := Open(&url.URL{Scheme: "softroce"})
	require.NoError(t, err)
	e := a.engine
	e.background.stop()
	defer func() { require.NoError(t, e.socket.close()) }()
	conn, err := net.Dial("udp4", a.Address().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write(make([]byte, 100))
	require.NoError(t, err)
	arrived, until := e.background.driveAll()
	require.False(t, arrived)
	require.Equal(t, never, until)
}
