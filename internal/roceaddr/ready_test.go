package roceaddr_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
)

func TestReadyMessage(t *testing.T) {
	t.Parallel()
	mtu, told := roceaddr.DecodeReady(roceaddr.EncodeReady(1024))
	require.True(t, told)
	require.Equal(t, 1024, mtu)
	for _, b := range []string{"", "ready", "ready\x04", "ready\x04\x01", "ready\x00\x00", "READY\x04\x00", "ready\x04\x00\x00"} {
		_, told := roceaddr.DecodeReady([]byte(b))
		require.False(t, told, "%q", b)
	}
}
