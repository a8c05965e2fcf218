//go:build cgo && linux

package ibv

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// These tests want a real device: the one named by RXE_DEVICE, which then must
// exist, or else the machine's first. ci/rxe/run makes one, in a guest. What a device
// does with requests is shown by the conformance tests of package verbs.

// realDevice opens it.
func realDevice(t *testing.T) *Context {
	t.Helper()
	name := os.Getenv("RXE_DEVICE")
	if name == "" {
		devices, err := Devices()
		if err != nil || len(devices) == 0 {
			t.Skipf("needs an RDMA device (ci/rxe/run makes one): %v", err)
		}
		name = devices[0].Name
	}
	c, err := Open(name)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// sourceGID is the address of the device to use: RXE_ADDRESS, or the last one.
func sourceGID(t *testing.T, c *Context) GID {
	t.Helper()
	gids, err := c.GIDs(1)
	require.NoError(t, err)
	require.NotEmpty(t, gids)
	if want := os.Getenv("RXE_ADDRESS"); want != "" {
		for _, g := range gids {
			if netip.AddrFrom16(g.Addr).Unmap().String() == want && g.Type == "RoCE v2" {
				return g
			}
		}
		t.Fatalf("no RoCE v2 GID of %s among %+v", want, gids)
	}
	return gids[len(gids)-1]
}

const (
	rxeDepth  = 16 // of every queue
	rxeInline = 64
)

// ends are two queue pairs of one device, connected to each other, with a
// completion queue each and memory that they share.
type ends struct {
	context *Context
	pd      *PD
	mr      *MR
	channel *Channel
	cqs     [2]*CQ
	qps     [2]*QP
}

func connected(t *testing.T) *ends {
	t.Helper()
	e := &ends{context: realDevice(t)}
	closing := func(o interface{ Close() error }) { t.Cleanup(func() { require.NoError(t, o.Close()) }) }
	var err error
	e.pd, err = e.context.AllocPD()
	require.NoError(t, err)
	closing(e.pd)
	e.mr, err = e.pd.RegMR(mapped(t, 1<<16), AccessLocalWrite|AccessRemoteWrite|AccessRemoteRead|AccessRemoteAtomic)
	require.NoError(t, err)
	closing(e.mr)
	e.channel, err = e.context.NewChannel()
	require.NoError(t, err)
	closing(e.channel)
	port, err := e.context.QueryPort(1)
	require.NoError(t, err)
	gid := sourceGID(t, e.context)
	for i := range e.qps {
		e.cqs[i], err = e.context.NewCQ(8*rxeDepth, e.channel)
		require.NoError(t, err)
		closing(e.cqs[i])
		init := QPInit{SendCQ: e.cqs[i], RecvCQ: e.cqs[i], SendDepth: rxeDepth, RecvDepth: rxeDepth, SGEs: 2, InlineBytes: rxeInline}
		e.qps[i], err = e.pd.NewQP(init)
		require.NoError(t, err)
		require.GreaterOrEqual(t, e.qps[i].SendDepth, rxeDepth)
		require.GreaterOrEqual(t, e.qps[i].InlineBytes, rxeInline)
		closing(e.qps[i])
	}
	for i, q := range e.qps {
		require.NoError(t, q.ToInit(1, AccessRemoteWrite|AccessRemoteRead|AccessRemoteAtomic))
		require.NoError(t, q.ToRTR(RTR{
			MTU: port.ActiveMTU, DestQPN: e.qps[1-i].QPN, PSN: uint32(1000 + 1 - i), MaxDestRdAtomic: 4, MinRNRTimer: 12, Port: 1,
			SGIDIndex: gid.Index, DGID: gid.Addr, HopLimit: 64, Global: true,
		}))
		require.NoError(t, q.ToRTS(RTS{PSN: uint32(1000 + i), MaxRdAtomic: 4, Timeout: 14, RetryCount: 7, RNRRetry: 7}))
		state, err := q.Query()
		require.NoError(t, err)
		require.Equal(t, StateRTS, state.State)
		require.Equal(t, e.qps[1-i].QPN, state.DestQPN)
		require.EqualValues(t, 1000+1-i, state.RQPSN)
		require.EqualValues(t, 1000+i, state.SQPSN)
		require.Equal(t, gid.Addr, state.DGID)
		require.Equal(t, port.ActiveMTU, state.MTU)
	}
	return e
}

// completions polls until there are n.
func (e *ends) completions(t *testing.T, end, n int) []WC {
	t.Helper()
	wc := make([]WC, n)
	got := 0
	for deadline := time.Now().Add(patience); got < n; {
		m, err := e.cqs[end].Poll(wc[got:], 10)
		require.NoError(t, err)
		got += m
		if m == 0 {
			require.True(t, time.Now().Before(deadline), "%d completions of %d came: %+v", got, n, wc[:got])
			runtime.Gosched() // the device is emulated, by these processors
		}
	}
	return wc
}

func (e *ends) send(t *testing.T, first uint64, wrs ...transport.WorkRequest) {
	t.Helper()
	n, err := e.qps[0].PostSend(wrs, first)
	require.NoError(t, err)
	require.Len(t, wrs, n)
}

// receive posts receives at the second end.
func (e *ends) receive(t *testing.T, first uint64, wrs ...transport.WorkRequest) {
	t.Helper()
	n, err := e.qps[1].PostRecv(wrs, first)
	require.NoError(t, err)
	require.Len(t, wrs, n)
}

func TestDeviceQueries(t *testing.T) {
	c := realDevice(t)
	devices, err := Devices()
	require.NoError(t, err)
	i := 0
	for devices[i].Name != c.name {
		i++
	}
	require.Equal(t, "CA", devices[i].Node)
	require.NotZero(t, devices[i].GUID)
	attr, err := c.QueryDevice()
	require.NoError(t, err)
	t.Logf("%+v %+v", devices[i], attr)
	for what, limit := range map[string]int{
		"MaxQP": attr.MaxQP, "MaxQPWR": attr.MaxQPWR, "MaxSGE": attr.MaxSGE, "MaxCQ": attr.MaxCQ, "MaxCQE": attr.MaxCQE, "MaxMR": attr.MaxMR,
		"MaxPD": attr.MaxPD, "MaxQPRdAtom": attr.MaxQPRdAtom, "MaxQPInitRdAtom": attr.MaxQPInitRdAtom, "MaxSRQ": attr.MaxSRQ,
		"MaxSRQWR": attr.MaxSRQWR, "MaxSRQSGE": attr.MaxSRQSGE, "AtomicCap": attr.AtomicCap, "PhysPorts": attr.PhysPorts,
	} {
		require.Positive(t, limit, what)
	}
	require.NotZero(t, attr.MaxMRSize)
	port, err := c.QueryPort(1)
	require.NoError(t, err)
	t.Logf("%+v", port)
	require.Equal(t, PortActive, port.State)
	require.Contains(t, []int{256, 512, 1024, 2048, 4096}, port.ActiveMTU)
	require.GreaterOrEqual(t, port.MaxMTU, port.ActiveMTU)
	require.Positive(t, port.GIDTableLen)
	require.NotZero(t, port.MaxMessage)
	require.Contains(t, []int{LinkLayerEthernet, LinkLayerInfiniBand}, port.LinkLayer)
	_, err = c.QueryPort(attr.PhysPorts + 1)
	require.Error(t, err)
	gid := sourceGID(t, c)
	t.Logf("%+v", gid)
	if netdev := os.Getenv("RXE_NETDEV"); netdev != "" {
		require.Equal(t, netdev, gid.Interface)
		require.Equal(t, LinkLayerEthernet, port.LinkLayer)
	}
}

// Going to the error state flushes sends, which wait for a receive here, and
// receives, in order. A full queue says so before; rxe's has more room than granted.
func TestDeviceFlush(t *testing.T) {
	e := connected(t)
	n := 0
	for {
		m, err := e.qps[0].PostSend([]transport.WorkRequest{transport.Send(0, e.mr.span(0, 8)), transport.Send(0, e.mr.span(0, 8))}, uint64(n))
		n += m
		if err != nil {
			require.Equal(t, ErrFull, err)
			require.Less(t, m, 2)
			break
		}
		require.Equal(t, 2, m)
		require.Less(t, n, 4*e.qps[0].SendDepth)
	}
	require.GreaterOrEqual(t, n, e.qps[0].SendDepth)
	require.Equal(t, ErrFull, e.qps[0].PostMarker(1))
	var wc [1]WC
	m, err := e.cqs[0].Poll(wc[:], 0)
	require.NoError(t, err)
	require.Zero(t, m)

	var wrs []transport.WorkRequest
	for i := range 5 {
		wrs = append(wrs, transport.Recv(0, e.mr.span(100*i, 8)))
	}
	m, err = e.qps[0].PostRecv(wrs, 1000)
	require.NoError(t, err)
	require.Equal(t, 5, m)
	require.NoError(t, e.qps[0].ToError())
	var sends, receives []uint64
	for _, wc := range e.completions(t, 0, n+5) {
		require.EqualValues(t, WCWRFlushErr, wc.Status)
		require.Equal(t, e.qps[0].QPN, wc.QPN)
		if wc.WRID >= 1000 {
			receives = append(receives, wc.WRID)
		} else {
			sends = append(sends, wc.WRID)
		}
	}
	require.Len(t, sends, n)
	for i, id := range sends {
		require.EqualValues(t, i, id)
	}
	require.Equal(t, []uint64{1000, 1001, 1002, 1003, 1004}, receives)
}

// A completion wakes a sleeper; after a solicited-only Arm only one that is.
func TestDeviceWait(t *testing.T) {
	e := connected(t)
	for range 10 {
		e.receive(t, 1, transport.Recv(0, e.mr.span(1000, 100)))
		require.NoError(t, e.cqs[1].Arm(false))
		waiting := later(func() error { return e.channel.Wait(t.Context()) })
		parkedIn(t, "ibv.(*Channel).Wait")
		e.send(t, 1, transport.Send(0, e.mr.span(0, 10)))
		require.NoError(t, soon(t, waiting))
		e.completions(t, 1, 1)
	}

	require.NoError(t, e.cqs[1].Arm(true))
	waiting := later(func() error { return e.channel.Wait(t.Context()) })
	for range 20 {
		e.receive(t, 1, transport.Recv(0, e.mr.span(1000, 100)))
		e.send(t, 1, transport.Send(0, e.mr.span(0, 10)).With(transport.Signaled))
		e.completions(t, 0, 1)
		e.completions(t, 1, 1)
	}
	require.Empty(t, waiting, "not solicited")
	e.receive(t, 1, transport.Recv(0, e.mr.span(1000, 100)))
	e.send(t, 1, transport.Send(0, e.mr.span(0, 10)).With(transport.Solicited))
	require.NoError(t, soon(t, waiting))

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, e.channel.Wait(ctx), context.DeadlineExceeded)
	waiting = later(func() error { return e.channel.Wait(t.Context()) })
	parkedIn(t, "ibv.(*Channel).Wait")
	require.NoError(t, e.channel.Close())
	require.ErrorIs(t, soon(t, waiting), os.ErrClosed)
}

// Memory that is not there cannot be registered.
func TestDeviceRegistersWhatExists(t *testing.T) {
	c := realDevice(t)
	pd, err := c.AllocPD()
	require.NoError(t, err)
	defer pd.Close()
	mem, err := unix.Mmap(-1, 0, 4096, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	defer func() { require.NoError(t, unix.Munmap(mem)) }()
	_, err = pd.RegMR(mem, AccessLocalWrite)
	require.ErrorIs(t, err, unix.EFAULT)
	require.EqualError(t, err, "ibv_reg_mr of 4096 bytes: bad address")
}

// A new address of the interface is an event of the device; and Close ends Event.
func TestDeviceEvent(t *testing.T) {
	netdev := os.Getenv("RXE_NETDEV")
	if netdev == "" {
		t.Skip("needs a device of its own (ci/rxe/run makes one)")
	}
	l, err := installed()
	require.NoError(t, err)
	c, err := l.open(os.Getenv("RXE_DEVICE"))
	require.NoError(t, err)
	next := func() result { e, err := c.Event(); return result{e, err} }
	waiting := later(next)
	parkedIn(t, "ibv.(*Context).Event")
	ip := func(args string) {
		out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
		require.NoError(t, err, string(out))
	}
	ip("address add 10.9.7.1/32 dev " + netdev)
	require.Equal(t, result{Event{Type: EventGIDChange, Port: 1}, nil}, soon(t, waiting))
	require.Equal(t, "GID table change", EventGIDChange.String())
	ip("address del 10.9.7.1/32 dev " + netdev)
	require.Equal(t, result{Event{Type: EventGIDChange, Port: 1}, nil}, next())

	waiting = later(next)
	parkedIn(t, "ibv.(*Context).Event")
	require.NoError(t, c.Close())
	require.ErrorIs(t, soon(t, waiting).error, os.ErrClosed)
}
