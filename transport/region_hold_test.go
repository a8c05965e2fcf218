package transport_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// Memory that is held outlives its region, its domain and its device, and nothing else
// does; it goes with the last Release.
func TestRegionHold(t *testing.T) {
	t.Parallel()
	dev, err := transport.Open("loopback:")
	require.NoError(t, err)
	domain, err := dev.NewProtectionDomain()
	require.NoError(t, err)
	r, err := domain.Alloc(4096, transport.RemoteAll)
	require.NoError(t, err)
	require.NoError(t, r.Hold())
	r.Release()
	require.NoError(t, r.Hold())
	require.NoError(t, r.Hold())

	require.NoError(t, dev.Close(), "it waits for nobody")
	require.ErrorIs(t, r.Hold(), transport.ErrClosed)
	copy(r.Bytes(), "still here")
	require.Len(t, dev.Inventory(), 1)
	require.Contains(t, dev.Inventory()[0], "region of 4096 bytes, closed, and held 2 times, made at ")
	r.Release()
	require.Equal(t, "still here", string(r.Bytes()[:10]))
	r.Release()
	require.Empty(t, dev.Inventory())
	require.NoError(t, r.Close())
}
