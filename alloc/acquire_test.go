package alloc_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/manager"
	"github.com/rfaas-go/rfaas/internal/transcript"
)

// newCluster starts agents with so many cores, and a manager that knows them.
func newCluster(t *testing.T, cores ...int) (url string, sites []*site) {
	t.Helper()
	m := must(manager.New(manager.Config{Logger: log(t), TimeToLive: time.Hour}))
	web := httptest.NewServer(m)
	t.Cleanup(func() { web.Close(); require.NoError(t, m.Close()) })
	for i, k := range cores {
		s := newSite(t, k, func(cfg *agent.Config) { cfg.Name = fmt.Sprint("node", i) })
		sites = append(sites, s)
		s.register(t, web.URL)
	}
	reader := must(manager.NewClient(web.URL, nil))
	require.Eventually(t, func() bool {
		s, err := reader.Nodes(t.Context())
		return err == nil && len(s.Nodes) == len(cores)
	}, patience, time.Millisecond)
	return web.URL, sites
}

// A pool over several nodes asks them at the same time: here none answers before all were
// asked.
func TestNodesAreAskedSideBySide(t *testing.T) {
	t.Parallel()
	url, sites := newCluster(t, 2, 2, 2)
	var all sync.WaitGroup
	all.Add(len(sites))
	var dialled sync.Map
	c := openClient(t, alloc.Config{Manager: url, Dial: func(ctx context.Context, address string) (net.Conn, error) {
		if _, again := dialled.LoadOrStore(address, true); !again {
			all.Done()
			all.Wait()
		}
		return new(net.Dialer).DialContext(ctx, "unix", address[len("unix:"):])
	}})
	p := newPool(t, c, alloc.Order{Workers: 3})
	for _, s := range sites {
		require.Equal(t, 1, s.Free().Cores, "spread")
	}
	require.NoError(t, p.Close())
	for _, s := range sites {
		free(t, s, 2)
	}
}

// What some nodes refuse, others are asked for, and all that is asked for is had or given
// back.
func TestWhatIsRefusedIsHadElsewhere(t *testing.T) {
	t.Parallel()
	url, sites := newCluster(t, 1, 2, 4, 8)
	for _, pack := range []bool{false, true} {
		c := openClient(t, alloc.Config{Manager: url})
		p := newPool(t, c, alloc.Order{Workers: 9, Pack: pack})
		require.Len(t, p.Stats().Lanes, 9)
		q := newPool(t, openClient(t, alloc.Config{Manager: url}), alloc.Order{Workers: 10, AtLeast: 6, Pack: pack})
		require.Len(t, q.Stats().Lanes, 6, "the rest")
		require.NoError(t, p.Close())
		require.NoError(t, q.Close())
		for i, s := range sites {
			free(t, s, 1<<i)
		}
	}
}

// A request that is given up, whenever that is, leaves nothing leased.
func TestRequestIsGivenUp(t *testing.T) {
	t.Parallel()
	url, sites := newCluster(t, 2, 2, 2)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	c := openClient(t, alloc.Config{Manager: url})
	require.NoError(t, newPool(t, c, alloc.Order{Workers: 6}).Close())
	given := 0
	for range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(1_500_000)))
		p, err := c.Lease(ctx, alloc.Order{Workers: 6})
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.NotContains(t, err.Error(), "%!", "an error without a reason")
			given++
			continue
		}
		require.NoError(t, p.Close())
	}
	t.Logf("%d of 300 were given up", given)
	for _, s := range sites {
		free(t, s, 2)
	}
}

// What no node will ever have is refused at once, also when there are more full nodes
// than are asked in a round.
func TestTooMuchForAllNodes(t *testing.T) {
	t.Parallel()
	url, _ := newCluster(t, 1, 1, 1, 1, 1)
	c := openClient(t, alloc.Config{Manager: url})
	require.Eventually(t, c.Told, patience, time.Millisecond)
	_, err := c.Lease(soon(t), alloc.Order{Cores: 2})
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	for i := range 5 {
		require.ErrorContains(t, err, fmt.Sprintf("node node%d refuses a lease: more than the node has", i))
	}
}

// A connection to an agent's life before is given up when the manager knows of a new one.
func TestAgentsNewLife(t *testing.T) {
	t.Parallel()
	url, _ := newCluster(t)
	s := newSite(t, 1, nil)
	mc := must(manager.NewClient(url, nil))
	about := manager.Node{ID: "node", Epoch: 1, Cores: 1, FreeCores: 1, Addresses: []manager.Address{s.listed(t)}}
	must(mc.Register(t.Context(), about))
	var told transcript.Transcript
	c := openClient(t, alloc.Config{Manager: url, Logger: slog.New(slog.NewTextHandler(&told, nil))})
	require.NoError(t, newPool(t, c, alloc.Order{}).Close())
	connected := func() int { return strings.Count(told.String(), "agent connected") }
	require.Equal(t, 1, connected())
	about.Epoch = 2
	must(mc.Register(t.Context(), about))
	require.Eventually(t, func() bool { return connected() == 2 }, patience, time.Millisecond)
}
