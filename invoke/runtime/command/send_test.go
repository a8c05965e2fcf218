package command

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// An input that nobody reads any more is dropped: a poll would return at once for it, again
// and again.
func TestSendToNobody(t *testing.T) {
	t.Parallel()
	own, other, err := pipe(true)
	require.NoError(t, err)
	require.NoError(t, unix.Close(other))
	p := &process{stdin: own, unsent: [][]byte{[]byte("input")}}
	require.NoError(t, (&Module{}).send(p))
	require.Equal(t, -1, p.stdin)
	require.Empty(t, p.unsent)
}
