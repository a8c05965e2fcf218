package alloc

import (
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
)

// newListed makes a client of a manager that knows nodes with so many free cores, and no
// agent.
func newListed(t *testing.T, cores ...int) (c *Client, report func(node, cores int)) {
	device := loopback(t)
	m := must(manager.New(manager.Config{TimeToLive: time.Hour}))
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	web := httptest.NewServer(m)
	t.Cleanup(web.Close)
	reporter := must(manager.NewClient(web.URL, nil))
	report = func(node, cores int) {
		name := fmt.Sprint("node", node)
		_, err := reporter.Register(t.Context(), manager.Node{
			ID: name, Epoch: 1, Cores: 8, FreeCores: cores,
			Addresses: []manager.Address{{Network: "unix", Address: "@" + t.Name() + name, Transport: "loopback", Wire: device.Capabilities().Wire}},
		})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			n, ok := c.view.Node(name)
			return ok && n.FreeCores == cores && c.told()
		}, 30*time.Second, time.Millisecond)
	}
	c = must(Open(t.Context(), Config{Device: device, Manager: web.URL, Tenant: "t"}))
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	for i, k := range cores {
		report(i, k)
	}
	require.Eventually(t, func() bool { return len(c.all()) == len(cores) }, 30*time.Second, time.Millisecond)
	return c, report
}

// A node that is full, as the manager says, is not asked while others are not: at most
// two such nodes in a round, after those that have room.
func TestFullNodesAreLeftOut(t *testing.T) {
	t.Parallel()
	c, report := newListed(t, 0, 0, 2, 0, 5, 0, 1)
	names := func(o Order, workers int) (asked []string, full int) {
		o.complete()
		s := search{pool: &Pool{owner: c, order: o}}
		all, full, never := s.candidates(workers)
		require.Empty(t, never)
		for _, a := range all {
			asked = append(asked, a.node.name())
		}
		return asked, full
	}
	for range 20 { // it is random
		asked, full := names(Order{}, 1)
		require.Len(t, asked, 5)
		require.Equal(t, 2, full)
		require.ElementsMatch(t, []string{"node2", "node4", "node6"}, asked[:3])
		asked, _ = names(Order{}, 2)
		require.Equal(t, []string{"node4", "node2", "node6"}, asked[:3])
		asked, _ = names(Order{Pack: true}, 2)
		require.Equal(t, []string{"node6", "node2", "node4"}, asked[:3])
		asked, full = names(Order{Cores: 8}, 1)
		require.ElementsMatch(t, []string{"node2", "node4"}, asked, "the best two")
		require.Equal(t, 5, full)
	}
	report(0, 8)
	require.Eventually(t, func() bool { asked, _ := names(Order{}, 2); return asked[0] == "node0" }, 30*time.Second, time.Millisecond)
}

// What an agent says counts more than what the manager lists, which may be older: for
// a second.
func TestAgentsOwnWord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := must(newNode(newBareClient(t), "unix:@a"))
		defer n.stop()
		listed := manager.Node{ID: "a", Epoch: 1, FreeCores: 4, FreeBytes: 100}
		n.list(&listed)
		require.Equal(t, lease.Capacity{Cores: 4, MemoryBytes: 100}, n.known())
		n.mu.Lock()
		n.happened(&lease.Event{Kind: lease.WasRefused, Reason: lease.NoCores, Free: lease.Capacity{Cores: 1}})
		n.mu.Unlock()
		n.list(&listed) // another node has changed
		require.Equal(t, lease.Capacity{Cores: 1}, n.known())
		time.Sleep(fresh - 1)
		require.Equal(t, lease.Capacity{Cores: 1}, n.known())
		time.Sleep(time.Nanosecond)
		require.Equal(t, lease.Capacity{Cores: 4, MemoryBytes: 100}, n.known())
	})
}

// What is asked at once is never more than what is wanted, of no node more than it is
// known to have, and all that is wanted where there is room for it; spread evenly, or
// packed.
func TestShares(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 10_000 {
		o := Order{Pack: random.IntN(2) == 0}
		all := make([]candidate, 1+random.IntN(20))
		room := 0
		for i := range all {
			if i == 0 || all[i-1].room > 0 { // those with room are the first
				all[i].room = random.IntN(6)
			}
			if i < sideBySide {
				room += all[i].room
			}
		}
		workers := 1 + random.IntN(60)
		shares := o.shares(all, workers)
		require.NotEmpty(t, shares)
		require.LessOrEqual(t, len(shares), sideBySide)
		sum, least, most := 0, workers, 0
		for i, s := range shares {
			require.Positive(t, s.workers)
			if all[0].room > 0 {
				require.LessOrEqual(t, s.workers, all[i].room)
			}
			sum += s.workers
			most = max(most, s.workers)
			if s.workers < all[i].room {
				least = min(least, s.workers)
			}
			if o.Pack && i < len(shares)-1 {
				require.Equal(t, all[i].room, s.workers)
			}
		}
		require.LessOrEqual(t, sum, workers)
		if all[0].room > 0 && workers > 1 && len(all) > 1 {
			require.Equal(t, min(workers, room), sum)
		}
		if !o.Pack && all[0].room > 0 && len(shares) > 1 {
			require.LessOrEqual(t, most-least, 1, "a node with less than another has no more room")
		}
	}
}
