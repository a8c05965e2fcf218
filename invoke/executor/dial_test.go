package executor

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// An executor admits clients that have its token, several at once, too.
func TestDialWithToken(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]Config{"confined": {Confine: confined()}, "not confined": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := supervise(t, cfg)
			o := assignmentOf("echo")
			o.Clients = 5
			a, b := begin(t, s, o), begin(t, s, assignmentOf("echo"))
			require.NotEqual(t, a.Token(), b.Token())
			device := openDevice(t, "shm:")
			for _, token := range [][]byte{nil, a.Token()[1:], b.Token()} {
				near, far, err := StreamPair()
				require.NoError(t, err)
				go func() {
					if r, err := transport.Receive(t.Context(), far); assert.NoError(t, err) {
						assert.NoError(t, a.Admit(t.Context(), r))
					}
				}()
				_, err = invoke.Connect(t.Context(), device, near, invoke.ClientConfig{Token: token})
				require.ErrorContains(t, err, "the client's token is not that of the assignment")
			}
			require.NoError(t, together(o.Clients, func() error {
				out, err := dialAndCall(t.Context(), a, "echo", "hello")
				if err == nil && out != "hello" {
					err = errors.New(out)
				}
				return err
			}))
		})
	}
}

// Dialing an executor that has ended, or with a context that has ended, fails.
func TestDialTheDead(t *testing.T) {
	t.Parallel()
	s := supervise(t, Config{})
	e := begin(t, s, assignmentOf("echo"))
	device := openDevice(t, "shm:")
	e.Kill()
	<-e.Ended()
	_, err := e.Dial(t.Context(), device, invoke.ClientConfig{})
	require.Error(t, err)
	require.Empty(t, device.Inventory())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = begin(t, s, assignmentOf("echo")).Dial(ended, device, invoke.ClientConfig{})
	require.ErrorIs(t, err, context.Canceled)
}
