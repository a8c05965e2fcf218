package alloc

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc/manager"
)

// A request that waits for the first node continues when the client knows one, also when
// the view has had it before and does not change any more.
func TestAwaitFirstNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newBareClient(t)
		c.view, c.nodes, c.listed = new(manager.View), map[string]*node{}, make(chan struct{})
		begun, done := time.Now(), make(chan struct{})
		go func() { defer close(done); c.await(c.life) }()
		synctest.Wait()
		c.update(nil)
		synctest.Wait()
		c.update([]manager.Node{{ID: "a", Addresses: []manager.Address{{Network: "unix", Address: "@a", Wire: c.cfg.Device.Capabilities().Wire}}}})
		<-done
		require.Zero(t, time.Since(begun))
		for _, n := range c.all() {
			n.stop()
		}
	})
}
