package ibv

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNames(t *testing.T) {
	t.Parallel()
	require.Equal(t, "CA", nodeName(1))
	require.Equal(t, "node type -1", nodeName(-1))
	require.Equal(t, "down", PortDown.String())
	require.Equal(t, "active (deferred)", PortActiveDefer.String())
	require.Equal(t, "state 6", PortState(6).String())
}

func TestImmediate(t *testing.T) {
	t.Parallel()
	wc := WC{}
	require.Zero(t, wc.Immediate())
	wc.Imm = binary.NativeEndian.Uint32([]byte{1, 2, 3, 4}) // as it came over the network
	require.EqualValues(t, 0x01020304, wc.Immediate())
}
