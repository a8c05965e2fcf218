package alloc_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/internal/link"
	"github.com/rfaas-go/rfaas/transport"
)

// newSilent is an agent that lets a client in, and then hangs. Its queue gets what it is
// sent.
func newSilent(t *testing.T, cores int) (*site, *transport.Queue) {
	t.Helper()
	device := openDevice(t)
	domain := must(device.NewProtectionDomain())
	queue := must(device.NewQueue(link.Completions))
	l := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	s := &site{address: "unix:" + l.Addr().String(), cancel: cancel}
	var peer *link.Link
	var once sync.Once
	s.ended.Go(func() {
		for {
			r, err := l.Accept(ctx)
			if err != nil {
				return
			}
			once.Do(func() {
				cfg := link.Config(domain, queue)
				cfg.PrivateData = (&lease.Hello{Name: "silent", Epoch: 1, Free: lease.Capacity{Cores: cores, MemoryBytes: 1 << 30}}).Encode()
				cfg.Authorize = func(context.Context, transport.Peer) error { return nil }
				conn, err := r.Accept(ctx, cfg)
				if err == nil {
					peer, err = link.New(conn, domain)
				}
				if err == nil {
					err = peer.Start()
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		s.ended.Wait()
		if peer != nil {
			peer.Close()
		}
		require.NoError(t, l.Close())
		require.NoError(t, queue.Close())
		require.NoError(t, domain.Close())
	})
	return s, queue
}

// An agent that hangs is not waited for: what it was asked for others are, and it is not
// asked again before them.
func TestSilentAgent(t *testing.T) {
	t.Parallel()
	silent, queue := newSilent(t, 100)
	s := newSite(t, 3, nil)
	p := newPool(t, newClient(t, silent, s), alloc.Order{Workers: 3})
	require.Equal(t, 0, s.Free().Cores)
	pid(t, p)
	var requests [link.Completions]transport.Completion
	k, err := queue.Wait(soon(t), requests[:], 0)
	require.NoError(t, err)
	require.Equal(t, 1, k)
}
