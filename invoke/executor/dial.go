package executor

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// Dial connects to the executor as a client, and makes sure that it is the executor
// that answers. The config's Token and Authorize are set here.
func (e *Executor) Dial(ctx context.Context, dev *transport.Device, cfg invoke.ClientConfig) (*invoke.Client, error) {
	cfg.Token, cfg.Authorize = e.assignment.Token, e.authenticate
	network, address := e.Address()
	return invoke.Dial(ctx, dev, network, address, cfg)
}

// authenticate makes sure that the address is still the executor's: another process
// could take it when the executor is gone. The kernel says who listens there.
func (e *Executor) authenticate(_ context.Context, worker transport.Peer) error {
	if c := worker.Credentials; c == nil || c.PID != e.PID() {
		return fmt.Errorf("executor: the process at the address is another one than process %d, which was started for it", e.PID())
	}
	return nil
}

// Address is where the executor waits for clients, as net.Dial takes it.
func (e *Executor) Address() (network, address string) { return "unix", e.address }

// Token is what other processes have to present to the executor, as
// invoke.ClientConfig's Token. Keep it from those that are not to use it.
func (e *Executor) Token() []byte { return e.assignment.Token }

const tokenBytes = 16

func newToken() []byte {
	token := make([]byte, tokenBytes)
	rand.Read(token)
	return token
}

// authorize admits clients with the assignment's token. Whose process a client is
// does not matter: a confined executor has a user of its own, and anybody on the
// machine finds its address.
func (a *Assignment) authorize(_ context.Context, _ transport.Peer, token []byte) error {
	if subtle.ConstantTimeCompare(a.Token, token) == 1 {
		return nil
	}
	return errors.New("executor: the client's token is not that of the assignment")
}
