package alloc_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
)

// An agent's stats are what happened, of an agent without state, too. Its cores and its
// memory are counted once at every moment, and what tenants have used never gets less.
func TestStats(t *testing.T) {
	t.Parallel()
	const cores, memory = 3, 64 << 30
	s := newSite(t, cores, nil)
	c := newClient(t, s)
	var last agent.Stats
	now := func() agent.Stats {
		t.Helper()
		all := s.Stats()
		sum := func(of func(lease.Capacity) int64) int64 {
			return of(all.Free) + of(all.Leased) + of(all.Fencing) + of(all.Withheld)
		}
		require.EqualValues(t, cores, sum(func(c lease.Capacity) int64 { return int64(c.Cores) }))
		require.EqualValues(t, memory, sum(func(c lease.Capacity) int64 { return c.MemoryBytes }))
		require.GreaterOrEqual(t, len(all.Accounts), len(last.Accounts))
		for i := range last.Accounts {
			_, err := all.Accounts[i].Measured.Sub(last.Accounts[i].Measured)
			require.NoError(t, err)
		}
		last = all
		return all
	}
	eventually := func(is func(agent.Stats) bool) agent.Stats {
		t.Helper()
		for deadline := time.Now().Add(patience); !is(now()); time.Sleep(time.Millisecond) {
			require.True(t, time.Now().Before(deadline), "%+v", last)
		}
		return last
	}
	require.Equal(t, lease.Capacity{Cores: cores, MemoryBytes: memory}, now().Free)
	require.Nil(t, now().Manager)

	p := newPool(t, c, alloc.Order{Workers: 2})
	at := now()
	require.Equal(t, 2, at.Leased.Cores)
	require.Positive(t, at.Leased.MemoryBytes)
	require.Equal(t, map[lease.State]int{lease.Granted: 1}, at.Leases)
	require.Equal(t, 1, at.Tenants)
	_, err := c.Lease(soon(t), alloc.Order{Cores: 4})
	require.Error(t, err)
	require.Equal(t, map[lease.Reason]uint64{lease.TooMuch: 1}, now().Refused)
	s.Reclaim(1, "a test")
	require.Equal(t, 1, now().Withheld.Cores)
	s.Reclaim(0, "")
	require.Zero(t, now().Withheld.Cores)

	const calls = 10
	for range calls {
		echo(t, p, "abc")
	}
	_, err = p.Call(soon(t), "crash", nil, nil)
	require.Error(t, err)
	eventually(func(at agent.Stats) bool { return at.WorkersEnded[lease.WorkerDied] == 1 })
	pid(t, p) // of another process
	require.NoError(t, p.Close())
	at = eventually(func(at agent.Stats) bool {
		return at.Ended[lease.Released] == 1 && at.WorkersStarted == 1+at.WorkersEnded[lease.NoReason]
	})
	require.GreaterOrEqual(t, at.WorkersStarted, uint64(2))
	require.Len(t, at.Accounts, 1)
	require.Equal(t, "tenant", at.Accounts[0].Tenant)
	require.EqualValues(t, calls+1, at.Accounts[0].Measured[accounting.Invocations], "those that came to an end")
	require.EqualValues(t, 3*calls, at.Accounts[0].Measured[accounting.BytesIn])

	newPool(t, c, alloc.Order{})
	s.Drain(soon(t), lease.Revoked, "a test")
	at = now()
	require.EqualValues(t, 2, at.Ended[lease.Released]+at.Ended[lease.Revoked], "its client may give it back first")
	require.True(t, at.Draining)
	require.Equal(t, lease.Capacity{Cores: cores, MemoryBytes: memory}, at.Withheld)
}
