package transport

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// TestSizes: a request is a cache line, and neither it nor a completion has a
// pointer or a gap.
func TestSizes(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 64, unsafe.Sizeof(WorkRequest{}))
	require.EqualValues(t, 32, unsafe.Sizeof(Completion{}))
	require.EqualValues(t, 16, unsafe.Sizeof(Span{}))
	require.EqualValues(t, 16, unsafe.Sizeof(RemoteSpan{}))
}

// TestHotWordsDoNotShareALine: what is written on every post by one goroutine
// lies on other cache lines than what another one writes or reads.
func TestHotWordsDoNotShareALine(t *testing.T) {
	t.Parallel()
	const line = 64
	var c Conn
	sends, receives := unsafe.Offsetof(c.sending), unsafe.Offsetof(c.receiving)
	require.GreaterOrEqual(t, sends-unsafe.Offsetof(c.link), uintptr(line))
	require.GreaterOrEqual(t, receives-sends, unsafe.Sizeof(c.sendStage)+line)
	require.GreaterOrEqual(t, unsafe.Offsetof(c.closing)-receives, unsafe.Sizeof(c.recvStage)+line)
	var q Queue
	require.GreaterOrEqual(t, unsafe.Offsetof(q.owner)-unsafe.Offsetof(q.depth), uintptr(line))
	require.GreaterOrEqual(t, unsafe.Offsetof(q.mu)-unsafe.Offsetof(q.waiting), uintptr(line))
}
