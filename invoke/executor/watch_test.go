package executor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
)

// A process that was killed for its memory loses its connections before it ends: the cause
// is the memory all the same.
func TestJudge(t *testing.T) {
	t.Parallel()
	for want, usage := range map[Cause]confine.Usage{OutOfMemory: {OOMKills: 1}, Disconnected: {}} {
		e := &Executor{progress: &progress{}}
		e.disconnected.Store(true)
		require.Equal(t, want, e.judge(syscall.WaitStatus(syscall.SIGKILL), usage).Cause)
	}
}

// An executor whose function continues an abandoned call ends, and its fate says why. If the
// function has returned, the executor keeps serving.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	e := begin(t, supervise(t, Config{}), assignmentOf("forever"))
	c := dial(t, e, "shm:")
	give := func(name string, number uint64) {
		f, err := c.Function(t.Context(), name)
		require.NoError(t, err)
		call, err := c.Go(t.Context(), f, nil)
		require.NoError(t, err)
		require.Eventually(t, func() bool { _, _, now := e.progress.look(); return now == number }, patience, time.Millisecond)
		require.NoError(t, call.Abandon())
	}
	give("other", 0) // the echo
	f, err := c.Function(t.Context(), "other")
	require.NoError(t, err)
	_, err = c.Call(t.Context(), f, nil, nil)
	require.NoError(t, err)
	give("forever", 1)
	_, err = c.Call(t.Context(), f, nil, nil)
	require.ErrorIs(t, err, invoke.ErrWorkerGone, "it is queued behind the abandoned call")
	fate := requireEnds(t, e)
	require.Equal(t, Fate{Cause: Abandoned, ExitStatus: exitAbandoned, Function: "forever"}, fate)
	require.Contains(t, fate.Err().Error(), `the executor ended because function "forever" continued for 250ms after its caller had given up`)
	require.ErrorIs(t, fate.Err(), invoke.ErrCanceled)
}

// forge is a function that never returns, and writes to the page that its supervisor watches
// as if calls came and went.
func forge(context.Context, []byte, []byte) (int, error) {
	mem := must(os.OpenFile("/proc/self/mem", os.O_RDWR, 0))
	for line := range strings.Lines(string(must(os.ReadFile("/proc/self/maps")))) {
		var begin int64
		if _, err := fmt.Sscanf(line, "%x-", &begin); err != nil || !strings.Contains(line, "rfaas-progress") {
			continue
		}
		for n := uint64(1); ; n += 2 {
			must(mem.WriteAt(binary.NativeEndian.AppendUint64(nil, n), begin))
		}
	}
	return 0, errors.New("the page is not found")
}

// flood is a function that sends its supervisor as many messages with descriptors as it can.
func flood(context.Context, []byte, []byte) (int, error) {
	for fd := range 1024 {
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil || kind != unix.SOCK_SEQPACKET {
			continue
		}
		for {
			err := unix.Sendmsg(fd, []byte("{}"), unix.UnixRights(0, 0), nil, unix.MSG_NOSIGNAL)
			if errors.Is(err, syscall.EPIPE) {
				break
			}
		}
	}
	return 0, errors.New("the connection is not found, or was closed")
}
