package transport_test

import (
	"math"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

func TestRegion(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	r := e.Alloc(100, transport.RemoteRead)
	require.Equal(t, make([]byte, 100), r.Bytes())
	require.Equal(t, 100, r.Len())
	require.Equal(t, transport.RemoteRead, r.Access())
	require.Same(t, e.PD, r.Domain())
	require.Same(t, e.Dev, e.PD.Device())
	span, remote := r.Span(10, 90), r.Remote(10, 90)
	require.Equal(t, 90, span.Len())
	require.Equal(t, span.Addr(), remote.Addr)
	require.EqualValues(t, 90, remote.Len)
	require.Zero(t, r.Span(100, 0).Len())
	for _, bad := range [][2]int{{-1, 1}, {0, -1}, {0, 101}, {101, 0}, {100, 1}, {math.MaxInt, 1}, {1, math.MaxInt}} {
		require.Panics(t, func() { r.Span(bad[0], bad[1]) }, "%v", bad)
		require.Panics(t, func() { r.Remote(bad[0], bad[1]) }, "%v", bad)
	}
	r.Uint64(88).Store(math.MaxUint64)
	require.EqualValues(t, 255, r.Bytes()[95])
	require.Zero(t, r.Bytes()[96])
	for _, bad := range []int{-8, 4, 96} {
		require.Panics(t, func() { r.Uint64(bad) }, "%v", bad)
	}
}

func TestBadRegions(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	for _, size := range []int{0, -5} {
		_, err := e.PD.Alloc(size, 0)
		require.ErrorIs(t, err, transport.ErrInvalid)
		require.ErrorContains(t, err, "a region has at least one byte")
	}
	_, err := e.PD.Register(nil, 0)
	require.ErrorIs(t, err, transport.ErrInvalid)
	require.NoError(t, e.PD.Close())
	require.NoError(t, e.PD.Close())
	_, err = e.PD.Alloc(1, 0)
	require.ErrorIs(t, err, transport.ErrClosed)
	require.ErrorContains(t, err, "transport: loopback: alloc 1 bytes: ")
}

func TestRegister(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	r, err := e.PD.Register(mem[100:200], transport.RemoteWrite)
	require.NoError(t, err)
	require.Equal(t, 100, r.Len())
	require.Same(t, &mem[100], &r.Bytes()[0])
	require.NoError(t, r.Close())
	mem[100]++ // it is still there
	require.NoError(t, unix.Munmap(mem))

	without := transport.NewDevice("without", limited{loopback.New(), func(caps *transport.Capabilities) {
		caps.Features &^= transport.FeatureRegister | transport.FeatureSharedReceive
	}})
	t.Cleanup(func() { require.NoError(t, without.Close()) })
	e = pairtest.NewEndOn(t, without)
	_, err = e.PD.Register(make([]byte, 1), 0)
	require.ErrorIs(t, err, transport.ErrNotSupported)
	require.ErrorContains(t, err, "peers of this provider cannot reach memory that it did not allocate; use Alloc")
	_, err = e.PD.NewSharedReceive(e.Queue, 4)
	require.ErrorIs(t, err, transport.ErrNotSupported)
	require.ErrorContains(t, err, "this provider has no shared receive queues; give each connection a RecvDepth")
}

// TestClosedRegion: spans of a closed region are refused, also when another one
// is made in its place, however often.
func TestClosedRegion(t *testing.T) {
	t.Parallel()
	a, _ := pairtest.New(t, "loopback:")
	closed := a.Alloc(4096, transport.LocalOnly)
	stale := closed.Span(0, 8)
	require.NoError(t, closed.Close())
	require.NoError(t, closed.Close())
	for range 200 {
		again := a.Alloc(4096, transport.LocalOnly)
		require.NotEqual(t, stale.LKey(), again.Span(0, 8).LKey(), "the handle is given out again")
		_, err := a.Conn.Post(transport.Send(1, stale))
		require.ErrorIs(t, err, transport.ErrInvalid)
		require.NoError(t, again.Close())
	}
}

// TestRegionCloseWaitsForPosts: a post that is under way when its region is
// closed has ended before the memory goes.
func TestRegionCloseWaitsForPosts(t *testing.T) {
	t.Parallel()
	inside, leave := make(chan struct{}), make(chan struct{})
	adapter := &closing{Adapter: loopback.New(), posting: func() {
		inside <- struct{}{}
		<-leave
	}}
	dev := transport.NewDevice("closing", adapter)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	release := sync.OnceFunc(func() { close(leave) })
	t.Cleanup(release)
	a, b := pairtest.NewEndOn(t, dev), pairtest.NewEnd(t, "loopback:")
	a.Conn, b.Conn = pairtest.Connect(t, a, b, a.Config(), b.Config())
	region := a.Alloc(8, transport.LocalOnly)
	posted, closed := make(chan error, 1), make(chan error, 1)
	span := region.Span(0, 8)
	go func() {
		_, err := a.Conn.Post(transport.Send(1, span))
		posted <- err
	}()
	<-inside
	go func() { closed <- region.Close() }()
	for !slices.Contains(adapter.noted(), "revoke") {
		runtime.Gosched()
	}
	for range 1000 {
		runtime.Gosched()
		require.NotContains(t, adapter.noted(), "region")
	}
	release()
	require.NoError(t, <-posted)
	require.NoError(t, <-closed)
	require.Equal(t, []string{"revoke", "region"}, adapter.noted())
}

// TestDomainClosesItsRegions: and a region may be closed at the same time.
func TestDomainClosesItsRegions(t *testing.T) {
	t.Parallel()
	e := pairtest.NewEnd(t, "loopback:")
	regions := make(chan *transport.Region, 100)
	for range 100 {
		regions <- e.Alloc(8, transport.LocalOnly)
	}
	close(regions)
	closed := make(chan error, 2)
	go func() {
		for r := range regions {
			if err := r.Close(); err != nil {
				closed <- err
			}
		}
		closed <- nil
	}()
	go func() { closed <- e.PD.Close() }()
	require.NoError(t, <-closed)
	require.NoError(t, <-closed)
	require.Len(t, e.Dev.Inventory(), 1, "the queue")
}
