package softroce

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/softroce/wire"
)

// Engines that nobody gave an address each find one, with RoCE's port.
func TestOpenSeveralOnLoopback(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 5 {
		a, err := Open(&url.URL{Scheme: "softroce"})
		require.NoError(t, err)
		defer func() { require.NoError(t, a.Close()) }()
		require.True(t, a.Address().Addr().IsLoopback())
		require.EqualValues(t, wire.Port, a.Address().Port())
		require.False(t, seen[a.Address().String()])
		seen[a.Address().String()] = true
	}
}
