package softroce

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// TestNoUDPChecksum: packets without a UDP checksum are received, over IPv6, too.
// Those of the kernel's rxe and of adapters have none.
func TestNoUDPChecksum(t *testing.T) {
	t.Parallel()
	for url, option := range map[string][3]int{
		"softroce:":          {unix.SOL_SOCKET, unix.SO_NO_CHECK, 1},
		"softroce://[::1]:0": {unix.SOL_UDP, unix.UDP_NO_CHECK6_TX, 1},
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			a, b := pairtest.New(t, url)
			for _, e := range []*pairtest.End{a, b} {
				s := engineOf(e).socket
				require.NoError(t, unix.SetsockoptInt(s.fd, option[0], option[1], option[2]))
				s.segments = false // it needs a checksum
			}
			from, to := a.Alloc(8, transport.LocalOnly), b.Alloc(8, transport.RemoteWrite)
			a.Post(transport.Write(1, from.Span(0, 8), to.Remote(0, 8)).With(transport.Signaled))
			require.Equal(t, transport.StatusOK, a.Take(1)[0].Status)
		})
	}
}
