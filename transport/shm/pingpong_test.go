package shm_test

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/shm"
)

// end is one end of a connection in this process.
type end struct {
	dev    *transport.Device
	pd     *transport.ProtectionDomain
	queue  *transport.Queue
	conn   *transport.Conn
	region *transport.Region
}

func pair(t testing.TB) (a, b *end) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	streams := [2]net.Conn{}
	for i, fd := range fds {
		f := os.NewFile(uintptr(fd), "pair")
		streams[i], err = net.FileConn(f)
		require.NoError(t, err)
		f.Close()
	}
	ends := [2]*end{newEnd(t), newEnd(t)}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error)
	go func() {
		r, err := transport.Receive(ctx, streams[1])
		if err == nil {
			ends[1].conn, err = r.Accept(ctx, ends[1].config())
		}
		done <- err
	}()
	ends[0].conn, err = ends[0].dev.Connect(ctx, streams[0], ends[0].config())
	require.NoError(t, err)
	require.NoError(t, <-done)
	return ends[0], ends[1]
}

func newEnd(t testing.TB) *end {
	dev, err := transport.Open("shm:")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	e := &end{dev: dev}
	e.pd, err = dev.NewProtectionDomain()
	require.NoError(t, err)
	e.queue, err = dev.NewQueue(256)
	require.NoError(t, err)
	e.region, err = e.pd.Alloc(1<<20, transport.RemoteAll)
	require.NoError(t, err)
	return e
}

func (e *end) config() transport.ConnConfig {
	return transport.ConnConfig{Domain: e.pd, SendQueue: e.queue, RecvQueue: e.queue, InlineBytes: 64}
}

func (e *end) wait(t testing.TB) transport.Completion {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var c [1]transport.Completion
	_, err := e.queue.Wait(ctx, c[:], 20*time.Microsecond)
	require.NoError(t, err)
	return c[0]
}

func TestSmoke(t *testing.T) {
	a, b := pair(t)
	copy(a.region.Bytes(), "hello")
	_, err := b.conn.PostRecv(transport.Recv(7, b.region.Span(512, 64)), transport.Recv(8, transport.Span{}))
	require.NoError(t, err)
	_, err = a.conn.Post(
		transport.Send(1, a.region.Span(0, 5)).With(transport.Signaled),
		transport.WriteImm(2, a.region.Span(0, 5), b.region.Remote(1000, 5), 42).With(transport.Signaled))
	require.NoError(t, err)
	c := b.wait(t)
	require.Equal(t, transport.OpRecv, c.Op)
	require.Equal(t, uint32(5), c.Bytes)
	require.Equal(t, "hello", string(b.region.Bytes()[512:517]))
	c = b.wait(t)
	require.Equal(t, transport.OpRecvImm, c.Op)
	require.Equal(t, uint32(42), c.Imm)
	require.Equal(t, "hello", string(b.region.Bytes()[1000:1005]))
	c = a.wait(t)
	require.Equal(t, uint64(1), c.ID)
	c = a.wait(t)
	require.Equal(t, uint64(2), c.ID)
	require.NoError(t, c.Err())
}

func BenchmarkWriteImmPingPong(b *testing.B) {
	x, y := pair(b)
	go func() {
		var c [1]transport.Completion
		buf, sink := y.region.Bytes(), byte(0)
		local, remote := y.region.Span(512, 64), x.region.Remote(0, 64)
		for i := range 16 {
			y.conn.PostRecv(transport.Recv(uint64(i), transport.Span{}))
		}
		for {
			if _, err := y.queue.Wait(b.Context(), c[:], transport.Hot); err != nil || c[0].Status != 0 {
				return
			}
			if c[0].Op == transport.OpRecvImm {
				sink += buf[63]
				y.conn.Post(transport.WriteImm(0, local, remote, 1))
				y.conn.PostRecv(transport.Recv(0, transport.Span{}))
			}
		}
	}()
	var c [1]transport.Completion
	for i := range 16 {
		x.conn.PostRecv(transport.Recv(uint64(i), transport.Span{}))
	}
	b.ReportAllocs()
	ctx := context.Background()
	buf, sink := x.region.Bytes(), byte(0)
	local, remote := x.region.Span(512, 64), y.region.Remote(0, 64)
	for b.Loop() {
		x.conn.Post(transport.WriteImm(0, local, remote, 1))
		x.conn.PostRecv(transport.Recv(0, transport.Span{}))
		for {
			if _, err := x.queue.Wait(ctx, c[:], transport.Hot); err != nil || c[0].Status != 0 {
				b.Fatal(err, c[0].Err())
			}
			if c[0].Op == transport.OpRecvImm {
				break
			}
		}
		sink += buf[63]
	}
}
