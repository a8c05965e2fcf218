package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/framing"
)

// TestNotifyNeverWaits: a peer that does not read, and a descriptor that somebody
// has made blocking, keep Notify neither from returning nor from being heard later.
func TestNotifyNeverWaits(t *testing.T) {
	t.Parallel()
	sa, sb := socketPair(t)
	a, b := newLink(sa), newLink(sb)
	raw, err := sa.SyscallConn()
	require.NoError(t, err)
	blocking := func(on int) {
		require.NoError(t, raw.Control(func(fd uintptr) {
			flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
			require.NoError(t, err)
			_, err = unix.FcntlInt(fd, unix.F_SETFL, flags&^unix.O_NONBLOCK|on)
			require.NoError(t, err)
		}))
	}
	blocking(0)
	sent := 0
	for ; a.notifyNow(3); sent++ {
		require.Less(t, sent, 1<<20, "the stream takes whatever comes")
	}
	blocking(unix.O_NONBLOCK) // for the runtime, which writes what is queued
	for range 1000 {
		a.Notify(3)
		a.Notify(5)
	}
	heard := map[byte]int{}
	for heard[5] == 0 || heard[3] <= sent {
		kind, payload, _, err := b.read()
		require.NoError(t, err)
		require.Equal(t, framing.Control, kind)
		require.Len(t, payload, 1)
		heard[payload[0]]++
	}
	a.close()
	for err = nil; err == nil; {
		var kind framing.Kind
		var payload []byte
		if kind, payload, _, err = b.read(); err == nil && kind == framing.Control {
			heard[payload[0]]++
		}
	}
	require.LessOrEqual(t, heard[3]+heard[5], sent+3, "one being written, and one of each kind waiting")
	a.Notify(3) // too late
}

func TestNotifyAllocatesNothing(t *testing.T) {
	sa, sb := socketPair(t)
	a, b := newLink(sa), newLink(sb)
	require.Zero(t, testing.AllocsPerRun(2000, func() {
		a.Notify(3)
		if kind, _, _, err := b.read(); err != nil || kind != framing.Control {
			t.Fatal(kind, err)
		}
	}))
}
