package benchmarks

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// brief is what tests wait for a datagram that will not come.
const brief = 5 * time.Millisecond

func newTestDatagrams(t *testing.T, size int) (d *datagrams, peer *udpSocket) {
	a, b := socketPair(t)
	d = datagramsOver(a, size)
	require.Equal(t, lossTimeout, d.patience)
	d.patience = brief
	return d, b
}

// A datagram that is lost, or is another one than the one awaited, ends the
// measurement.
func TestDatagramLost(t *testing.T) {
	t.Parallel()
	d, peer := newTestDatagrams(t, 64)
	require.ErrorIs(t, d.lead(t.Context(), 1, newSamples()), errLost)
	buf := make([]byte, 100)
	n, errno := peer.receive(buf)
	require.Zero(t, errno)
	require.Equal(t, 64, n)
	require.True(t, stamped(buf[:n], 1))
	_, errno = peer.receive(buf)
	require.Equal(t, unix.EAGAIN, errno, "it is not sent again")

	for name, answer := range map[string][]byte{
		"longer":           filled(65, 1),
		"shorter":          filled(63, 1),
		"empty":            {},
		"of another round": filled(64, 0),
		"damaged":          append(filled(63, 1), 2),
	} {
		d, peer := newTestDatagrams(t, 64)
		require.NoError(t, unix.Sendto(peer.fd, answer, 0, &unix.SockaddrInet4{Port: int(portOf(t, d.socket)), Addr: loopbackIPv4}), name)
		require.ErrorContains(t, d.lead(t.Context(), 1, newSamples()), "a datagram arrived that is not the one awaited", name)
	}
	d, peer = newTestDatagrams(t, 64)
	require.Zero(t, peer.send(filled(64, 1)))
	require.NoError(t, d.lead(t.Context(), 1, newSamples()))
}

func filled(bytes int, value byte) []byte {
	b := make([]byte, bytes)
	fill(b, value)
	return b
}

func TestSegmentation(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]segmentation{
		1:             {perMessage: 1, full: 17, last: 17, batch: 64},
		1000:          {perMessage: 1, full: 1016, last: 1016, batch: 64},
		1024:          {perMessage: 1, full: 1040, last: 1040, batch: 62},
		4096:          {perMessage: 1, full: 4112, last: 4112, batch: 15},
		4097:          {perMessage: 2, full: 4112, last: 17, batch: 15},
		1 << 20:       {perMessage: 256, full: 4112, last: 4112, batch: 15},
		1<<20 + 4095:  {perMessage: 257, full: 4112, last: 4111, batch: 15},
		1<<30 - 1<<12: {perMessage: 1<<18 - 1, full: 4112, last: 4112, batch: 15},
	} {
		got := newSegmentation(size)
		require.Equal(t, want, got, size)
		require.Equal(t, 3*(size+segmentOverhead*want.perMessage), got.bytes(3), size)
		require.LessOrEqual(t, got.batch*got.full, maxDatagramBytes, size)
		if want.last == want.full {
			require.Equal(t, 7, got.together(7), "batches go across messages")
		} else {
			require.Equal(t, 1, got.together(7), "a message ends its batch")
		}
	}
}

// Whatever the buffer, a share that is not given back yet leaves room for a
// batch: the sender never waits for a credit that does not come.
func TestWindowsDoNotDeadlock(t *testing.T) {
	t.Parallel()
	for size := 1; size < 5000; size++ {
		s := newSegmentation(size)
		for _, buffer := range []int{2304, 212992, 2 * 212992, 2 * wantedBuffer} {
			window := s.windowIn(buffer)
			share := window / sharesPerWindow
			require.Positive(t, share)
			require.GreaterOrEqual(t, window-(share-1), s.batch, "size %d, buffer %d", size, buffer)
			if buffer >= 2*212992 {
				require.LessOrEqual(t, window*s.full, buffer/2, "size %d, buffer %d", size, buffer)
			}
		}
	}
}

func numbered(bytes int, number uint64) []byte {
	b := make([]byte, bytes)
	binary.LittleEndian.PutUint64(b, number)
	b[bytes-1] = byte(number)
	return b
}

// The receiver notices at once what is missing or wrong.
func TestDatagramSinkNotices(t *testing.T) {
	t.Parallel()
	const full, last = segmentPayload + segmentOverhead, 1 + segmentOverhead
	damaged := numbered(full, 0)
	damaged[full-1]++
	for name, c := range map[string]struct {
		datagrams [][]byte
		want      string
	}{
		"all there": {[][]byte{numbered(full, 0), numbered(last, 1), numbered(full, 2), numbered(last, 3)}, ""},
		"a gap":     {[][]byte{numbered(full, 0), numbered(full, 2)}, "datagram 2 arrived instead of 1: a datagram was lost"},
		"repeated":  {[][]byte{numbered(full, 0), numbered(full, 0)}, "a datagram arrived damaged: number 0 instead of 1"},
		"damaged":   {[][]byte{damaged}, "a datagram arrived damaged: number 0 instead of 0, last byte 0x1"},
		"too short": {[][]byte{{1, 2, 3}}, "a datagram of 3 bytes arrived"},
		"another size": {[][]byte{numbered(full, 0), numbered(last, 1), numbered(full, 2), numbered(last-1, 3)},
			"8257 bytes arrived in 4 datagrams, not 8258 in 4"},
		"one more": {[][]byte{numbered(full, 0), numbered(last, 1), numbered(full, 2), append(numbered(full, 3), numbered(last, 4)...)},
			"12370 bytes arrived in 5 datagrams, not 8258 in 4"},
	} {
		a, b := socketPair(t)
		d := &datagramSink{segmentation: newSegmentation(segmentPayload + 1), socket: a, buffer: make([]byte, 1<<16), credit: make([]byte, creditBytes), window: 40, share: 10}
		for _, datagram := range c.datagrams {
			require.Zero(t, b.send(datagram), name)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err := d.run(ctx, 2, nil)
		cancel()
		if c.want != "" {
			require.ErrorContains(t, err, c.want, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, []credit{{4, 44}}, creditsAt(t, b), name)
	}
	a, _ := socketPair(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, (&datagramSink{segmentation: newSegmentation(1), socket: a, buffer: make([]byte, 1)}).run(ctx, 1, nil), context.Canceled)
}

type credit struct{ taken, most uint64 }

// creditsAt takes all credits that wait at a socket.
func creditsAt(t *testing.T, u *udpSocket) (all []credit) {
	buf := make([]byte, 100)
	for {
		n, errno := u.receive(buf)
		if errno == unix.EAGAIN {
			return all
		}
		require.Zero(t, errno)
		require.Equal(t, creditBytes, n)
		all = append(all, credit{binary.LittleEndian.Uint64(buf), binary.LittleEndian.Uint64(buf[8:])})
	}
}

// Credits come a share at a time, and at the end of a run.
func TestDatagramSinkGrants(t *testing.T) {
	t.Parallel()
	a, b := socketPair(t)
	d := &datagramSink{segmentation: newSegmentation(64), socket: a, buffer: make([]byte, 1<<16), credit: make([]byte, creditBytes), window: 40, share: 10}
	for number := range uint64(25) {
		require.Zero(t, b.send(numbered(80, number)))
	}
	require.NoError(t, d.run(t.Context(), 25, nil))
	require.Equal(t, []credit{{10, 50}, {20, 60}, {25, 65}}, creditsAt(t, b))
}

// The sender sends what it has credit for, in batches, and no more.
func TestDatagramSourceKeepsToItsCredit(t *testing.T) {
	t.Parallel()
	const payload = 512
	a, b := socketPair(t)
	newSource := func() *datagramSource {
		s := newSegmentation(payload)
		return &datagramSource{segmentation: s, socket: a, buffer: make([]byte, burstParts*s.batch*s.full), credit: make([]byte, creditBytes), patience: brief, pace: newPace(1)}
	}
	require.NoError(t, a.connect(portOf(t, b)))
	require.NoError(t, unix.SetsockoptInt(a.fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, payload+segmentOverhead))
	grant := func(c credit) {
		require.Zero(t, b.send(binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, c.taken), c.most)))
	}
	buf := make([]byte, 1<<16)
	arrived := func() (n uint64) {
		for {
			bytes, errno := b.receive(buf)
			if errno == unix.EAGAIN {
				return n
			}
			require.Zero(t, errno)
			require.Equal(t, numbered(bytes, n)[:8], buf[:8])
			require.Equal(t, byte(n), buf[bytes-1])
			require.Equal(t, payload+segmentOverhead, bytes)
			n++
		}
	}
	require.ErrorIs(t, newSource().run(t.Context(), 200, nil), errLost)
	require.Zero(t, arrived(), "nothing is sent without credit")
	grant(credit{0, 10})
	grant(credit{0, 94})
	require.ErrorIs(t, newSource().run(t.Context(), 200, nil), errLost)
	require.Equal(t, uint64(64), arrived(), "whole batches")
	grant(credit{0, 94})
	require.ErrorIs(t, newSource().run(t.Context(), 94, nil), errLost)
	require.Equal(t, uint64(94), arrived(), "and the rest at the end; without the last credit it is not confirmed")
	grant(credit{0, 94})
	grant(credit{94, 110})
	require.NoError(t, newSource().run(t.Context(), 94, nil))
	require.Equal(t, uint64(94), arrived())
	require.Zero(t, b.send([]byte("hello")))
	require.EqualError(t, newSource().run(t.Context(), 1, nil), "a credit of 5 bytes arrived")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, newSource().run(ctx, 1, nil), context.Canceled)
}
