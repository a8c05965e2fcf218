package benchmarks

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// controlPair is a control and the plain other end of its stream.
func controlPair(t *testing.T) (c *control, other net.Conn, ended chan error) {
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	ended = make(chan error, 1)
	return newControl(ours, func(err error) { ended <- err }), theirs, ended
}

func TestControl(t *testing.T) {
	t.Parallel()
	c, other, ended := controlPair(t)
	sent := message{Kind: messageStart, Params: &params{Test: "send-lat", SizeBytes: 64, Mode: Hot, PeerCPU: 1}, Key: newKey()}
	go other.Write(encodeMessage(sent))
	got, err := c.expect(t.Context(), messageHello, messageStart)
	require.NoError(t, err)
	require.Equal(t, sent, got)

	go other.Write(encodeMessage(message{Kind: messageDone, Allocations: 3}))
	_, err = c.expect(t.Context(), messageRunning)
	require.EqualError(t, err, `the other side says "done" where one of ["running"] was due`)

	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	_, err = c.expect(ctx, messageRunning)
	require.ErrorIs(t, err, why)

	// What came before the end counts.
	other.Write(encodeMessage(message{Kind: messageEnd}))
	other.Close()
	require.ErrorIs(t, <-ended, errHungUp)
	got, err = c.expect(t.Context(), messageEnd)
	require.NoError(t, err)
	require.Equal(t, messageEnd, got.Kind)
	_, err = c.expect(t.Context(), messageEnd)
	require.ErrorIs(t, err, errHungUp)
}

func TestControlError(t *testing.T) {
	t.Parallel()
	c, other, ended := controlPair(t)
	go other.Write(encodeMessage(message{Kind: messageError, Text: "out of memory"}))
	require.EqualError(t, <-ended, "the peer reports: out of memory")
	_, err := c.expect(t.Context(), messageRunning)
	require.EqualError(t, err, "the peer reports: out of memory")
}

func TestControlFlood(t *testing.T) {
	t.Parallel()
	_, other, ended := controlPair(t)
	go func() {
		for line := encodeMessage(message{Kind: messageRun, Count: 1}); ; {
			if _, err := other.Write(line); err != nil {
				return
			}
		}
	}()
	require.EqualError(t, <-ended, "the other side talks out of turn")
}

func TestPacesAreBounded(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for size, steps := range map[int]int{0: 1024, 64: 1024, 1 << 20: 64, 3 << 20: 16, 1 << 30: 1} {
		p, i := newPace(size), 1
		for p.ended(ctx, i) == nil {
			i++
		}
		require.Equal(t, steps, i, "%d bytes", size)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ size, most, stride, count int }{
		{1, 32, 64, 32}, {64, 32, 64, 32}, {65, 32, 128, 32}, {1 << 20, 64, 1 << 20, 4},
		{4 << 20, 64, 4 << 20, 2}, {1 << 30, 64, 1 << 30, 2}, {1 << 20, 1, 1 << 20, 1},
	} {
		s := newSlots(c.size, c.most)
		require.Equal(t, slots{c.size, c.stride, c.count}, s)
	}
	s := newSlots(100, 3)
	mem := make([]byte, s.bytes())
	for i := range 3 {
		stamp(s.of(mem, i), byte(i+1))
	}
	for i := range 3 {
		require.True(t, stamped(s.of(mem, i+3), byte(i+1)), "the buffers go round")
		require.Len(t, s.of(mem, i), 100)
	}
	require.NoError(t, s.verify(mem, 1, 1))
	require.ErrorContains(t, s.verify(mem, 2, 1), "buffer 1 is damaged: its ends are 0x2 and 0x2 instead of 0x1")
	for depth, total := range map[int]int{1: 1, 3: 3, 7: 7, 9: 8, 64: 64, 100: 100, 103: 100} {
		_, got := batches(depth)
		require.Equal(t, total, got, "depth %d", depth)
	}
}
