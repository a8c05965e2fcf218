package manager

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A watcher gets what changed before it came, then at once what changes, and
// every few seconds that nothing does.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		const timeToLive = heartbeatInterval + 2*time.Second // so that heartbeats do not expire nodes by chance
		m, _ := run(t, p.listen(), Config{Life: 1, TimeToLive: timeToLive})
		n := testNode("a", 1)
		must(m.register(n))
		lines := open(t, p.http(t), "http://m")
		require.Equal(t, Change{Revision: 1, Kind: Added, Node: n}, readLine(t, lines))
		require.Equal(t, Change{Revision: 1}, readLine(t, lines), "now it knows all")
		start := time.Now()
		n.FreeCores--
		must(m.register(n))
		require.Equal(t, Change{Revision: 2, Kind: Changed, Node: n}, readLine(t, lines))
		n.Draining = true
		must(m.register(n))
		require.Equal(t, Change{Revision: 3, Kind: Draining, Node: n}, readLine(t, lines))
		require.Zero(t, time.Since(start))

		require.Equal(t, Change{Revision: 3}, readLine(t, lines))
		require.Equal(t, heartbeatInterval, time.Since(start))
		require.Equal(t, Change{Revision: 4, Kind: Gone, Node: n}, readLine(t, lines))
		require.Equal(t, timeToLive, time.Since(start), "it did not renew")
		for time.Since(start) < 3*serverTimeout { // which is not for watches
			require.Equal(t, Change{Revision: 4}, readLine(t, lines))
		}
	})
}

// watching counts the watchers.
func (m *Manager) watching() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.watchers)
}

// A backlog is bounded with what is being written, and empty when that is done.
func TestBacklog(t *testing.T) {
	t.Parallel()
	w := &watcher{wake: make(chan struct{}, 1)}
	line := []byte("12345\n")
	for range 2 {
		require.NoError(t, w.append(line, false, 18))
		require.NoError(t, w.append(line, false, 18))
		lines, ended := w.take()
		require.Len(t, lines, 2)
		require.False(t, ended)
		require.NoError(t, w.append(line, false, 18))
		lines, _ = w.take()
		require.Len(t, lines, 1)
		w.written()
	}
	for range 3 {
		require.NoError(t, w.append(line, false, 18))
	}
	require.ErrorIs(t, w.append(line, false, 18), errBacklog)
}

// A watcher that does not read is cut off when the backlog is full, and does not delay others.
func TestWatcherThatDoesNotRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		var log journal
		m, _ := run(t, p.listen(), Config{Life: 1, Logger: log.logger()})
		n := testNode("a", 1)
		must(m.register(n))
		m.maxBacklogBytes = 10 * len(m.registry.log[0].line)
		c := p.http(t)
		silent, reads := open(t, c, "http://m"), open(t, c, "http://m")
		synctest.Wait()
		readLine(t, reads)
		readLine(t, reads)
		for i := range 30 {
			n.FreeCores = i % 3
			must(m.register(n))
			require.EqualValues(t, 2+i, readLine(t, reads).Revision)
			synctest.Wait()
			require.Equal(t, i >= 9, strings.Contains(log.String(), errBacklog.Error()), "change %d", i)
		}
		require.Equal(t, 1, strings.Count(log.String(), "watcher is cut off"))
		_, err := io.ReadAll(silent)
		require.Error(t, err, "the stream is broken off")
		require.Equal(t, 1, m.watching())
	})
}

// A watcher that does not even take off heartbeats is cut off, too.
func TestWatcherThatTakesNoHeartbeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		var log journal
		m, _ := run(t, p.listen(), Config{Life: 1, Logger: log.logger()})
		open(t, p.http(t), "http://m")
		time.Sleep(maxHeartbeats*heartbeatInterval + 1)
		require.NotContains(t, log.String(), "cut off")
		time.Sleep(heartbeatInterval)
		synctest.Wait()
		require.Contains(t, log.String(), errHeartbeat.Error())
		require.Zero(t, m.watching())
	})
}

// The same over sockets, which have buffers in the kernel, and over HTTP/2, which has
// windows.
func TestWatcherThatDoesNotReadItsSocket(t *testing.T) {
	t.Parallel()
	for protocol := 1; protocol <= 2; protocol++ {
		t.Run(fmt.Sprintf("HTTP %d", protocol), func(t *testing.T) {
			t.Parallel()
			var log journal
			m := start(t, Config{Life: 1, Logger: log.logger()})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor == protocol {
					m.ServeHTTP(w, r)
				}
			}))
			server.EnableHTTP2 = protocol == 2
			server.StartTLS()
			t.Cleanup(server.Close)
			silent := open(t, server.Client(), server.URL)
			require.Equal(t, Change{}, readLine(t, silent))
			n := largest()
			for i := 0; !strings.Contains(log.String(), errBacklog.Error()); i++ {
				require.Less(t, i, 1<<16, "64 Ki changes went into the buffers")
				n.FreeCores = i % 2
				must(m.register(n))
			}
			_, err := io.ReadAll(silent)
			require.Error(t, err, "the stream is broken off")
		})
	}
}

func TestTooManyWatchers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		m, _ := run(t, p.listen(), Config{Life: 1})
		m.maxWatchers = 1
		c := p.http(t)
		open(t, c, "http://m")
		answer := must(c.Get("http://m/v1/watch?life=0000000000000001&revision=0"))
		defer answer.Body.Close()
		require.Equal(t, http.StatusServiceUnavailable, answer.StatusCode)
	})
}

// Watches end with the manager, whether their clients read or not.
func TestCloseEndsWatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p pipes
		m, _ := run(t, p.listen(), Config{Life: 1})
		c := p.http(t)
		reads, _ := open(t, c, "http://m"), open(t, c, "http://m")
		readLine(t, reads)
		for i := range 2 { // one of the watchers does not take them
			n := testNode("a", 1)
			n.FreeCores = i
			must(m.register(n))
			readLine(t, reads)
		}
		require.NoError(t, m.Close())
		_, err := reads.ReadByte()
		require.Error(t, err)
		synctest.Wait()
		require.Zero(t, m.watching())
	})
}

// Watchers that come and go leave no goroutine and no descriptor behind.
func TestWatchersLeaveNothing(t *testing.T) { // not parallel: it counts what the process has
	l := loopback()
	m, _ := run(t, l, Config{Life: 1})
	must(m.register(testNode("a", 1)))
	traces := func() (goroutines, descriptors int) {
		return runtime.NumGoroutine(), len(must(os.ReadDir("/proc/self/fd")))
	}
	round := func() {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		answer := must((&http.Client{Transport: transport}).Get("http://" + l.Addr().String() + "/v1/watch?life=0000000000000001&revision=0"))
		must(answer.Body.Read(make([]byte, 1)))
		answer.Body.Close()
	}
	round() // has the runtime open what it needs
	require.Eventually(t, func() bool { return m.watching() == 0 }, patience, time.Millisecond)
	goroutines, descriptors := traces()
	for range 50 {
		round()
	}
	require.Eventually(t, func() bool {
		g, d := traces()
		return m.watching() == 0 && g <= goroutines+10 && d <= descriptors+10 // of 50 each, had they stayed
	}, patience, 10*time.Millisecond)
}
