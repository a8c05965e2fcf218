package alloc

import (
	"context"
	"log/slog"
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
		device := loopback(t)
		c := &Client{cfg: Config{Device: device}, log: slog.New(slog.DiscardHandler), view: new(manager.View), nodes: map[string]*node{}, listed: make(chan struct{})}
		c.life, c.end = context.WithCancel(t.Context())
		defer c.end()
		begun, done := time.Now(), make(chan struct{})
		go func() { defer close(done); c.await(c.life) }()
		synctest.Wait()
		c.update(nil)
		synctest.Wait()
		c.update([]manager.Node{{ID: "a", Addresses: []manager.Address{{Network: "unix", Address: "@a", Wire: device.Capabilities().Wire}}}})
		<-done
		require.Zero(t, time.Since(begun))
		for _, n := range c.all() {
			n.stop()
		}
	})
}
