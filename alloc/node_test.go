package alloc

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc/manager"
)

// An agent that the manager lists again, or with another epoch, is connected to at once:
// neither a pause nor an attempt that hangs is waited for.
func TestConnectsAtNews(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		seen := int64(0)
		var hang atomic.Bool
		c := newBareClient(t)
		c.cfg.Dial = func(ctx context.Context, _ string) (net.Conn, error) {
			dials.Add(1)
			if hang.Load() {
				<-ctx.Done()
			}
			return nil, errors.New("no one is there")
		}
		n := must(newNode(c, "unix:@a"))
		defer n.stop()
		list := func(epoch uint64) { n.list(&manager.Node{ID: "a", Epoch: epoch}) }
		dialled := func() int { // since the last time
			synctest.Wait()
			before := seen
			seen = dials.Load()
			return int(seen - before)
		}
		list(1)
		n.start()
		time.Sleep(time.Minute) // the pauses have grown
		require.Greater(t, dialled(), 30)
		for pauses := 0; pauses < 3; time.Sleep(time.Millisecond) {
			pauses += dialled() // now a pause of a second or more begins
		}
		list(1)
		require.Zero(t, dialled(), "it is no news")
		list(2)
		require.Equal(t, 1, dialled())
		n.unlist()
		list(2)
		require.Equal(t, 1, dialled())
		hang.Store(true)
		time.Sleep(15 * time.Millisecond)
		require.Equal(t, 1, dialled())
		list(3)
		require.Equal(t, 1, dialled())
	})
}
