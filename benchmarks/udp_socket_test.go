package benchmarks

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// socketPair is two sockets that send to each other.
func socketPair(t *testing.T) (a, b *udpSocket) {
	t.Helper()
	for _, s := range []**udpSocket{&a, &b} {
		var err error
		*s, err = newUDPSocket()
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, (*s).close()) })
	}
	a.aim(portOf(t, b))
	b.aim(portOf(t, a))
	return a, b
}

func portOf(t *testing.T, u *udpSocket) uint16 {
	t.Helper()
	port, err := u.port()
	require.NoError(t, err)
	return port
}

func TestUDPSocket(t *testing.T) {
	t.Parallel()
	a, b := socketPair(t)
	buf := make([]byte, 100)
	_, errno := a.receive(buf)
	require.Equal(t, unix.EAGAIN, errno, "it does not block")
	for _, connected := range []bool{false, true} {
		if connected {
			require.NoError(t, a.connect(portOf(t, b)))
			require.NoError(t, b.connect(portOf(t, a)))
		}
		require.Zero(t, a.send([]byte("there")))
		n, errno := b.receive(buf)
		require.Zero(t, errno)
		require.Equal(t, "there", string(buf[:n]))
		require.Zero(t, b.send([]byte("and back")))
		n, errno = a.receive(buf)
		require.Zero(t, errno)
		require.Equal(t, "and back", string(buf[:n]))
	}
	stranger, _ := socketPair(t)
	stranger.aim(portOf(t, b))
	require.Zero(t, stranger.send([]byte("me, too")))
	_, errno = b.receive(buf)
	require.Equal(t, unix.EAGAIN, errno, "a connected socket takes from its peer only")
}

func TestUDPSocketDoesNotAllocate(t *testing.T) {
	a, b := socketPair(t)
	buf := make([]byte, 100)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		a.send(buf)
		b.receive(buf)
	}))
}

// A full send buffer is waited for, as long as the context lasts. UDP's own
// never fills on the loopback interface; that of a Unix socket does.
func TestSendWaiting(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	a, b := &udpSocket{fd: fds[0]}, &udpSocket{fd: fds[1]}
	one := make([]byte, 1)
	for a.send(one) == 0 {
	}
	require.Equal(t, unix.EAGAIN, a.send(one))
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	time.AfterFunc(time.Millisecond, func() { cancel(why) })
	require.ErrorIs(t, a.sendWaiting(ctx, one), why)
	sent := make(chan error)
	go func() { sent <- a.sendWaiting(t.Context(), one) }()
	_, errno := b.receive(one)
	require.Zero(t, errno)
	require.NoError(t, <-sent)
	require.NoError(t, b.close())
	require.ErrorIs(t, a.sendWaiting(t.Context(), one), unix.ECONNREFUSED)
	require.NoError(t, a.close())
	require.ErrorIs(t, a.close(), unix.EBADF)
}

// A burst arrives whole and in order, whatever part of it the kernel takes.
func TestSendAll(t *testing.T) {
	t.Parallel()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	a, b := &udpSocket{fd: fds[0]}, &udpSocket{fd: fds[1]}
	var waiting int
	for a.send([]byte("x")) == 0 {
		waiting++
	}
	queued := func() int {
		n, err := unix.IoctlGetInt(a.fd, unix.TIOCOUTQ)
		require.NoError(t, err)
		return n
	}
	full := queued()
	var out burst
	for i := range burstParts {
		require.Equal(t, i == burstParts-1, out.add([]byte{byte('a' + i)}))
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	require.ErrorIs(t, a.sendAll(ctx, &out), why)

	one := make([]byte, 1)
	receive := func() byte {
		errno := unix.EAGAIN
		for n := 0; errno == unix.EAGAIN; require.LessOrEqual(t, n, 1) {
			n, errno = b.receive(one)
		}
		require.Zero(t, errno)
		return one[0]
	}
	require.Equal(t, byte('x'), receive())
	sent, errno := a.sendBurst(&out, 0)
	require.Zero(t, errno)
	require.Equal(t, 1, sent, "as much as there is room for")
	require.Equal(t, byte('x'), receive())
	require.Equal(t, byte('x'), receive())
	sent, errno = a.sendBurst(&out, 1)
	require.Zero(t, errno)
	require.Equal(t, 2, sent)
	require.Equal(t, byte('x'), receive())
	whole := make(chan error)
	go func() { whole <- a.sendAll(t.Context(), &out) }()
	for queued() < full { // until it has sent one, for which there was room
	}
	for range waiting - 4 {
		require.Equal(t, byte('x'), receive())
	}
	for _, want := range "abcabcd" {
		require.Equal(t, byte(want), receive())
	}
	require.NoError(t, <-whole)
	require.Zero(t, out.count)
	require.False(t, out.add([]byte("z")))
	require.NoError(t, a.sendAll(t.Context(), &out))
	require.NoError(t, a.sendAll(t.Context(), &out), "there is nothing in it")
	require.Equal(t, byte('z'), receive())
	_, errno = b.receive(one)
	require.Equal(t, unix.EAGAIN, errno)
	require.False(t, out.add(one))
	require.NoError(t, b.close())
	require.ErrorIs(t, a.sendAll(t.Context(), &out), unix.ECONNREFUSED)
	require.NoError(t, a.close())
}

func TestLossWatch(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	wait := func(limit time.Duration) (looks int, err error) {
		var w lossWatch
		for err == nil {
			looks++
			err = w.looked(ctx, limit)
		}
		return looks, err
	}
	looks, err := wait(time.Nanosecond)
	require.ErrorIs(t, err, errLost)
	require.EqualError(t, err, "no answer for 1ns: a datagram was lost, and a baseline sends none twice")
	require.Equal(t, 2*looksPerCheck, looks, "from the first check to the second")
	start := clock()
	_, err = wait(10 * time.Millisecond)
	require.ErrorIs(t, err, errLost)
	require.Greater(t, clock()-start, int64(10*time.Millisecond))
	why := errors.New("enough")
	cancel(why)
	looks, err = wait(0)
	require.ErrorIs(t, err, why)
	require.Equal(t, looksPerCheck, looks)
}
