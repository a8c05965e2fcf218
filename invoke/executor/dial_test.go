package executor

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// An executor is for who has its token, and a client notices that somebody else is at
// the executor's address.
func TestDialTheRightOne(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{"confined": {Confine: confined()}, "not confined": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := supervise(t, cfg)
			a, b := begin(t, s, own1("echo")), begin(t, s, own1("echo"))
			require.NotEqual(t, a.Token(), b.Token())
			device, err := transport.Open("shm:")
			require.NoError(t, err)
			defer device.Close()
			for _, token := range [][]byte{nil, a.Token()[1:], b.Token()} {
				network, address := a.Address()
				_, err := invoke.Dial(t.Context(), device, network, address, invoke.ClientConfig{Token: token, Authorize: a.authenticate})
				require.ErrorContains(t, err, "the client's token is not that of the assignment")
			}
			assignment := own1("echo")
			assignment.Token = a.Token()
			impostor, address := begin(t, s, assignment), a.address
			a.address = impostor.address
			_, err = a.Dial(t.Context(), device, invoke.ClientConfig{})
			require.ErrorContains(t, err, "another one than process")
			a.address = address
			c, err := a.Dial(t.Context(), device, invoke.ClientConfig{})
			require.NoError(t, err)
			require.NoError(t, c.Close())
		})
	}
}
