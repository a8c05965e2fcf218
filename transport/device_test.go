package transport_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

// closedStream is a stream whose other end has hung up.
func closedStream() net.Conn {
	a, b := net.Pipe()
	b.Close()
	return a
}

// line is the line of the caller.
func line() int {
	_, _, line, _ := runtime.Caller(1)
	return line
}

// TestInventory: everything that is open, and where it was made.
func TestInventory(t *testing.T) {
	t.Parallel()
	dev, err := transport.Open("loopback:")
	require.NoError(t, err)
	peer := pairtest.NewEnd(t, "loopback:")
	require.Empty(t, dev.Inventory())

	pd, err := dev.NewProtectionDomain()
	first := line() - 1
	require.NoError(t, err)
	queue, err := dev.NewQueue(100)
	require.NoError(t, err)
	shared, err := pd.NewSharedReceive(queue, 10)
	require.NoError(t, err)
	region, err := pd.Alloc(4096, transport.LocalOnly)
	require.NoError(t, err)
	l, err := transport.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	accepted := accept(t.Context(), l, peer.Config())
	conn, err := dev.Dial(t.Context(), "tcp", l.Addr().String(), transport.ConnConfig{Domain: pd, SendQueue: queue, RecvQueue: queue, Shared: shared})
	dialed := line() - 1
	require.NoError(t, err)
	require.NoError(t, <-accepted)

	at := func(what string, line int) string { return fmt.Sprintf("%s, made at %s:%d", what, here(), line) }
	require.Equal(t, []string{
		at("connection 1 to peer at "+l.Addr().String(), dialed),
		at("protection domain", first),
		at("queue of depth 100", first+3),
		at("region of 4096 bytes", first+7),
		at("shared receive queue of depth 10", first+5),
	}, dev.Inventory())

	for i, o := range []io.Closer{conn, region, shared, queue, pd} {
		require.NoError(t, o.Close())
		require.Len(t, dev.Inventory(), 4-i)
	}
	require.NoError(t, dev.Close())
}

// here is this file.
func here() string {
	_, file, _, _ := runtime.Caller(0)
	return file
}

// closing is an adapter that notes in which order things are closed.
type closing struct {
	transport.Adapter
	posting, revoking func() // called in PostSend and Revoke, if set

	mu  sync.Mutex
	log []string
}

func (c *closing) noted() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.log)
}

func (c *closing) note(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, what)
}

type closingPD struct {
	transport.PD
	to *closing
}

type closingMR struct {
	transport.MR
	to *closing
}

type closingCQ struct {
	transport.CQ
	to *closing
}

type closingQP struct {
	transport.QP
	to *closing
}

func (c *closing) NewPD() (transport.PD, error) {
	pd, err := c.Adapter.NewPD()
	return closingPD{pd, c}, err
}

func (c *closing) NewCQ(cfg transport.CQConfig) (transport.CQ, error) {
	cq, err := c.Adapter.NewCQ(cfg)
	return closingCQ{cq, c}, err
}

func (c *closing) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	cfg.PD = cfg.PD.(closingPD).PD
	cfg.SendCQ, cfg.RecvCQ = cfg.SendCQ.(closingCQ).CQ, cfg.RecvCQ.(closingCQ).CQ
	qp, err := c.Adapter.NewQP(cfg)
	return closingQP{qp, c}, err
}

func (p closingPD) Alloc(size int, access transport.Access) (transport.MR, error) {
	mr, err := p.PD.Alloc(size, access)
	return closingMR{mr, p.to}, err
}

func (q closingQP) PostSend(wrs []transport.WorkRequest) (int, error) {
	if q.to.posting != nil {
		q.to.posting()
	}
	return q.QP.PostSend(wrs)
}

func (c *closing) Close() error  { c.note("adapter"); return c.Adapter.Close() }
func (p closingPD) Close() error { p.to.note("domain"); return p.PD.Close() }
func (c closingCQ) Close() error { c.to.note("queue"); return c.CQ.Close() }
func (q closingQP) Close() error { q.to.note("connection"); return q.QP.Close() }
func (m closingMR) Close() error { m.to.note("region"); return m.MR.Close() }

func (m closingMR) Revoke() {
	m.to.note("revoke")
	if m.to.revoking != nil {
		m.to.revoking()
	}
	m.MR.Revoke()
}

// TestDeviceCloseOrder: connections first, then queues, regions, domains, each
// once, and the adapter last.
func TestDeviceCloseOrder(t *testing.T) {
	t.Parallel()
	adapter := &closing{Adapter: loopback.New()}
	dev := transport.NewDevice("closing", adapter)
	a, b := pairtest.NewEndOn(t, dev), pairtest.NewEnd(t, "loopback:")
	for range 3 {
		a.Alloc(8, transport.LocalOnly)
		conn, _ := pairtest.Connect(t, a, b, a.Config(), b.Config())
		defer conn.Close()
	}
	require.NoError(t, dev.Close())
	require.NoError(t, dev.Close())
	rank := []string{"connection", "queue", "revoke", "region", "domain", "adapter"}
	counts := map[string]int{}
	last := 0
	for _, what := range adapter.log {
		counts[what]++
		if what == "revoke" || what == "region" { // in turns
			what = "revoke"
		}
		require.GreaterOrEqual(t, slices.Index(rank, what), last, "%v", adapter.log)
		last = slices.Index(rank, what)
	}
	require.Equal(t, map[string]int{"connection": 3, "queue": 1, "revoke": 3, "region": 3, "domain": 1, "adapter": 1}, counts)
	require.Empty(t, dev.Inventory())
}

// TestDomainCloseWaitsForRegions: a region is gone before its domain, although
// somebody else is in the middle of closing it: the device, say.
func TestDomainCloseWaitsForRegions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		adapter := &closing{Adapter: loopback.New(), revoking: func() { <-release }}
		dev := transport.NewDevice("closing", adapter)
		pd, err := dev.NewProtectionDomain()
		require.NoError(t, err)
		r, err := pd.Alloc(8, transport.LocalOnly)
		require.NoError(t, err)
		closed := make(chan error, 2)
		go func() { closed <- r.Close() }()
		synctest.Wait()
		go func() { closed <- pd.Close() }()
		synctest.Wait()
		close(release)
		require.NoError(t, <-closed)
		require.NoError(t, <-closed)
		require.NoError(t, dev.Close(), "which complains of what is left")
	})
}

func TestClosedDevice(t *testing.T) {
	t.Parallel()
	dev, err := transport.Open("loopback:")
	require.NoError(t, err)
	e := pairtest.NewEndOn(t, dev)
	region := e.Alloc(8, transport.LocalOnly)
	require.NoError(t, dev.Close())
	_, err = dev.NewProtectionDomain()
	require.ErrorIs(t, err, transport.ErrClosed)
	_, err = dev.NewQueue(1)
	require.ErrorIs(t, err, transport.ErrClosed)
	_, err = e.PD.Alloc(1, 0)
	require.ErrorIs(t, err, transport.ErrClosed)
	_, err = e.PD.NewSharedReceive(e.Queue, 1)
	require.ErrorIs(t, err, transport.ErrClosed)
	_, err = dev.Connect(t.Context(), closedStream(), e.Config())
	require.ErrorIs(t, err, transport.ErrClosed)
	_, err = e.Queue.Poll(nil)
	require.ErrorIs(t, err, transport.ErrClosed)
	require.NoError(t, region.Close())
}

// TestDeviceCloseEndsSetUps: a connection that is being set up when the device
// is closed fails, and the device waits for that.
func TestDeviceCloseEndsSetUps(t *testing.T) {
	t.Parallel()
	adapter := &closing{Adapter: loopback.New()}
	dev := transport.NewDevice("closing", adapter)
	e := pairtest.NewEndOn(t, dev)
	sa, sb := net.Pipe()
	connected := make(chan error, 1)
	go func() {
		_, err := dev.Connect(context.Background(), sa, e.Config())
		connected <- err
	}()
	_, err := sb.Read(make([]byte, 1)) // the set-up has begun, and is not answered
	require.NoError(t, err)
	require.NoError(t, dev.Close())
	err = <-connected
	require.ErrorIs(t, err, transport.ErrClosed)
	require.ErrorContains(t, err, "connection set-up: ")
	require.Equal(t, "connection queue domain adapter", strings.Join(adapter.log, " "))
}

// TestDeviceCloseWhileMaking: objects are made while the device is closed.
// Whatever comes of it, the adapter is closed last, with nothing left.
func TestDeviceCloseWhileMaking(t *testing.T) {
	t.Parallel()
	for range 100 {
		dev, err := transport.Open("loopback:")
		require.NoError(t, err)
		pd, err := dev.NewProtectionDomain()
		require.NoError(t, err)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for {
					r, err := pd.Alloc(64, transport.LocalOnly)
					if err != nil {
						return
					}
					if _, err := dev.NewQueue(1); err != nil {
						return
					}
					r.Close()
				}
			})
		}
		runtime.Gosched()
		require.NoError(t, dev.Close(), "which complains of what is left")
		wg.Wait()
		require.Empty(t, dev.Inventory())
	}
}
