package manager

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// nodes is what a manager knows.
func (m *Manager) nodes() []Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(m.cfg.Clock())
	return m.registry.Nodes()
}

// An agent's node is there as long as the agent, is up to date at once, and comes
// back by itself.
func TestKeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		m, stop := run(t, p.listen(), Config{})
		n := testNode("a", 1)
		var mu sync.Mutex
		var at []time.Time
		asked := func() []time.Time {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(at)
		}
		changed := make(chan struct{}, 1)
		c := p.client(t)
		start := time.Now()
		end := background(t, func(ctx context.Context) error {
			return c.Keep(ctx, func() Node {
				mu.Lock()
				defer mu.Unlock()
				at = append(at, time.Now())
				return n
			}, changed)
		})
		synctest.Wait()
		require.Equal(t, []Node{n}, m.nodes())
		time.Sleep(defaultTimeToLive)
		require.Len(t, asked(), 4, "it renews at a third of its life")
		require.Equal(t, start.Add(defaultTimeToLive/3), asked()[1])
		require.EqualValues(t, 1, m.registry.Revision())

		mu.Lock()
		n.FreeCores--
		mu.Unlock()
		changed <- struct{}{}
		synctest.Wait()
		require.Equal(t, time.Now(), asked()[4])
		require.Equal(t, []Node{n}, m.nodes())

		stop()
		time.Sleep(time.Minute)
		m, _ = run(t, p.listen(), Config{})
		time.Sleep(maxBackoff)
		synctest.Wait()
		require.Equal(t, []Node{n}, m.nodes(), "it registers with the next manager")

		close(changed) // which is no news without end
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, []Node{n}, m.nodes())
		require.NoError(t, end())
		require.Empty(t, m.nodes(), "it has deregistered")
		require.Less(t, len(asked()), 200)
	})
}

// News do not make an agent ask a manager that is away more often.
func TestKeepBacksOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes // no one listens
		asked := 0
		changed := make(chan struct{})
		c := p.client(t)
		end := background(t, func(ctx context.Context) error {
			return c.Keep(ctx, func() Node { asked++; return testNode("a", 1) }, changed)
		})
		stop := background(t, func(ctx context.Context) error {
			for {
				select {
				case changed <- struct{}{}:
				case <-ctx.Done():
					return nil
				}
			}
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Greater(t, asked, 12)
		require.Less(t, asked, 40)
		require.NoError(t, stop())
		require.NoError(t, end())
	})
}

// What asking again cannot heal ends Keep.
func TestKeepGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		m, _ := run(t, p.listen(), Config{})
		must(m.register(testNode("a", 5)))
		c := p.client(t)
		require.ErrorIs(t, c.Keep(t.Context(), func() Node { return testNode("a", 4) }, nil), ErrLowerEpoch)
		epochs := uint64(6)
		require.ErrorIs(t, c.Keep(t.Context(), func() Node { // another agent has its name meanwhile
			n := testNode("a", epochs)
			if epochs--; epochs == 4 {
				require.True(t, c.Registered())
			}
			return n
		}, nil), ErrLowerEpoch)
		require.False(t, c.Registered())
		require.ErrorContains(t, c.Keep(t.Context(), func() Node { return testNode("a", 0) }, nil), "epoch: is 0")
		require.Len(t, m.nodes(), 1)
	})
}

// A node whose registration may have arrived is deregistered, too.
func TestKeepEndsWhileItAsks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		var mu sync.Mutex
		var asked []string
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked = append(asked, r.Method)
			mu.Unlock()
			if _, err := io.ReadAll(r.Body); err == nil && r.Method == http.MethodPut {
				<-r.Context().Done()
			}
			io.WriteString(w, "{}")
		})}
		l, done := p.listen(), make(chan struct{})
		go func() { defer close(done); server.Serve(l) }()
		t.Cleanup(func() { server.Close(); <-done })
		c := p.client(t)
		end := background(t, func(ctx context.Context) error {
			return c.Keep(ctx, func() Node { return testNode("a", 1) }, nil)
		})
		synctest.Wait()
		require.NoError(t, end())
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, []string{http.MethodPut, http.MethodDelete}, asked)
	})
}

// The end of a node is told when its last registration has been: one that was given up on its
// way could arrive after it.
func TestKeepEndsInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		var mu sync.Mutex
		var done []string
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			if r.Method == http.MethodPut {
				time.Sleep(leaveTimeout / 2) // of the fake clock: it is busy
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, r.Method)
			io.WriteString(w, "{}")
		})}
		l, closed := p.listen(), make(chan struct{})
		go func() { defer close(closed); server.Serve(l) }()
		t.Cleanup(func() { server.Close(); <-closed })
		c := p.client(t)
		end := background(t, func(ctx context.Context) error {
			return c.Keep(ctx, func() Node { return testNode("a", 1) }, nil)
		})
		synctest.Wait() // it has asked
		require.NoError(t, end())
		time.Sleep(leaveTimeout)
		mu.Lock()
		defer mu.Unlock()
		require.Equal(t, []string{http.MethodPut, http.MethodDelete}, done)
	})
}
