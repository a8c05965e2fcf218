package manager

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Whatever nodes, connections and managers do: in the end a view is what the
// registry is.
func TestViewIsTheRegistry(t *testing.T) {
	t.Parallel()
	for range 5 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			var p pipes
			quiet := slog.New(slog.DiscardHandler)
			begin := func() (*Manager, func()) {
				m, stop := run(t, p.listen(), Config{Logger: quiet})
				m.mu.Lock()
				defer m.mu.Unlock()
				m.registry.maxLogBytes = 2000 // so that it is often too late to resume
				return m, stop
			}
			m, stop := begin()
			c := p.client(t)
			c.Logger = nil
			var v View
			background(t, func(ctx context.Context) error { return c.Watch(ctx, &v) })
			for range 300 {
				n := random(r)
				switch r.IntN(20) {
				case 0:
					p.breakAll()
				case 1:
					stop()
					time.Sleep(rand.N(2 * time.Second))
					m, stop = begin()
				case 2:
					time.Sleep(rand.N(15 * time.Second))
				case 3, 4, 5:
					_ = c.Deregister(t.Context(), n.ID, n.Epoch)
				default:
					_, _ = m.register(n)
				}
				if r.IntN(3) == 0 {
					time.Sleep(rand.N(100 * time.Millisecond))
				}
			}
			awaitView(t, &v, func() bool {
				m.mu.Lock()
				defer m.mu.Unlock()
				_, revision, ok := v.position()
				return ok && isCurrent(&v) && revision == m.registry.revision
			})
			require.Equal(t, m.registry.Nodes(), v.Nodes(), "seed %d", seed)
			require.EqualValues(t, formatLife(m.cfg.Life), v.life, "seed %d", seed)
		})
	}
}

// While the manager is away the view stays, and says since when it is stale.
func TestViewWhileTheManagerIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		m, stop := run(t, p.listen(), Config{})
		n := testNode("a", 1)
		must(m.register(n))
		var v View
		_, why := v.Stale()
		require.ErrorIs(t, why, errNothingYet)
		c := p.client(t)
		end := background(t, func(ctx context.Context) error { return c.Watch(ctx, &v) })
		awaitView(t, &v, func() bool { return isCurrent(&v) })

		time.Sleep(time.Second)
		stop()
		lost := time.Now()
		time.Sleep(time.Hour)
		since, why := v.Stale()
		require.ErrorContains(t, why, "no one listens")
		require.Equal(t, lost, since)
		got, ok := v.Node("a")
		require.True(t, ok)
		require.Equal(t, n, got)

		run(t, p.listen(), Config{})
		back := time.Now()
		awaitView(t, &v, func() bool { return isCurrent(&v) && len(v.Nodes()) == 0 })
		require.LessOrEqual(t, time.Since(back), 2*maxBackoff)

		changed := v.Changed()
		time.Sleep(time.Hour)
		synctest.Wait()
		select {
		case <-changed:
			require.Fail(t, "heartbeats are to keep the view current")
		default:
		}
		broken := time.Now()
		p.breakAll()
		<-changed
		require.False(t, isCurrent(&v))
		awaitView(t, &v, func() bool { return isCurrent(&v) })
		require.LessOrEqual(t, time.Since(broken), minBackoff, "it was not away for long")
		require.ErrorIs(t, end(), context.Canceled)
		_, why = v.Stale()
		require.ErrorIs(t, why, context.Canceled)
	})
}

// The same over sockets: the manager ends, and another comes up at its address.
func TestManagerRestartsAtItsAddress(t *testing.T) {
	t.Parallel()
	l := loopback()
	address := l.Addr().String()
	_, stop := run(t, l, Config{TimeToLive: time.Second})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	c := must(NewClient("http://"+address, &http.Client{Transport: transport}))
	var v View
	background(t, func(ctx context.Context) error { return c.Watch(ctx, &v) })
	n := testNode("a", 1)
	background(t, func(ctx context.Context) error { return c.Keep(ctx, func() Node { return n }, nil) })
	registered := func() bool {
		_, ok := v.Node("a")
		return isCurrent(&v) && ok
	}
	awaitView(t, &v, registered)
	life, _, _ := v.position()
	stop()
	awaitView(t, &v, func() bool { return !isCurrent(&v) })
	l = must(net.Listen("tcp", address))
	run(t, l, Config{TimeToLive: time.Second})
	awaitView(t, &v, registered)
	again, _, _ := v.position()
	require.NotEqual(t, life, again)
}

// scripted is a manager that says what the test has it say.
func scripted(t *testing.T, p *pipes, watch func(w io.Writer, nth int)) (snapshots *int) {
	snapshots = new(int)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/nodes", func(w http.ResponseWriter, _ *http.Request) {
		*snapshots++
		fmt.Fprintf(w, `{"life":"%s","revision":1,"nodes":[%s]}`, formatLife(1), encode(testNode("a", 1)))
	})
	nth := 0
	mux.HandleFunc("GET /v1/watch", func(w http.ResponseWriter, r *http.Request) {
		nth++
		watch(w, nth)
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	server := &http.Server{Handler: mux}
	l := p.listen()
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	return snapshots
}

// A manager that says nothing, or nothing any more, without ending the connection, is
// noticed.
func TestSilence(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"", `{"revision":1}` + "\n"} {
		synctest.Test(t, func(t *testing.T) {
			var p pipes
			snapshots := scripted(t, &p, func(w io.Writer, nth int) {
				if nth > 1 {
					first = `{"revision":1}` + "\n"
				}
				io.WriteString(w, first)
			})
			var v View
			c := p.client(t)
			start := time.Now()
			background(t, func(ctx context.Context) error { return c.Watch(ctx, &v) })
			var since time.Time
			awaitView(t, &v, func() bool {
				since, _ = v.Stale()
				return !since.IsZero()
			})
			_, why := v.Stale()
			require.ErrorIs(t, why, errSilence)
			require.Equal(t, maxSilence, since.Sub(start))
			awaitView(t, &v, func() bool { return isCurrent(&v) })
			require.Equal(t, 1, *snapshots, "it resumes")
		})
	}
}

// What is wrong with a stream makes a new snapshot necessary, or a new connection.
func TestStreamsThatAreWrong(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		why       error
		snapshots int
	}{
		`{"revision":2}`: {ErrNewSnapshot, 2}, // a change was lost
		`{"revision":0}`: {ErrNewSnapshot, 2},
		`{"revision":3,"kind":"added","node":` + string(encode(testNode("b", 1))) + `}`: {ErrNewSnapshot, 2},
		`{"revision":1,"kind":"added","node":` + string(encode(testNode("b", 1))) + `}`: {ErrNewSnapshot, 2},
		`{"revision":2,"kind":"added","node":{}}`:                                       {nil, 1},
		`{"revision":2,"kind":"eaten","node":` + string(encode(testNode("b", 1))) + `}`: {nil, 1},
		`x`:                                   {nil, 1},
		"":                                    {nil, 1},
		fmt.Sprintf("%*d", maxLineBytes+1, 1): {nil, 1},
	} {
		t.Run(clip(line), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var p pipes
				snapshots := scripted(t, &p, func(w io.Writer, nth int) {
					if nth == 1 {
						fmt.Fprintln(w, line)
					} else {
						fmt.Fprintln(w, `{"revision":1}`)
					}
				})
				var v View
				c := p.client(t)
				background(t, func(ctx context.Context) error { return c.Watch(ctx, &v) })
				awaitView(t, &v, func() bool { since, _ := v.Stale(); return !since.IsZero() })
				_, why := v.Stale()
				require.Equal(t, want.why != nil, errors.Is(why, ErrNewSnapshot), why)
				awaitView(t, &v, func() bool { return isCurrent(&v) })
				require.Equal(t, want.snapshots, *snapshots)
				require.Equal(t, []Node{testNode("a", 1)}, v.Nodes())
			})
		})
	}
}
