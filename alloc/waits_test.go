package alloc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/transcript"
)

// warnings are the lines of a log that tell of waits.
func warnings(log *transcript.Transcript) []string {
	var lines []string
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "level=WARN") {
			lines = append(lines, line[strings.Index(line, "msg="):])
		}
	}
	return lines
}

// A request that gets no workers says so to the log, again after pauses that grow, with
// the reasons: not only when it is refused, also when no agent answers.
func TestWaitIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		device := loopback(t)
		var log transcript.Transcript
		c, err := Open(t.Context(), Config{
			Device: device, Agents: []string{"unix:@a", "unix:@b"}, Tenant: "t", Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Dial: func(ctx context.Context, address string) (net.Conn, error) {
				if address == "unix:@a" && ctx.Err() == nil { // it is silent
					<-ctx.Done()
				}
				return nil, errors.New("no one is there")
			},
		})
		require.NoError(t, err)
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 80*time.Second)
		defer cancel()
		_, err = c.Lease(ctx, Order{Workers: 3})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		lines := warnings(&log)
		require.Len(t, lines, 4, "%s", &log)
		for i, since := range []string{"5s", "15s", "35s", "1m15s"} {
			require.Contains(t, lines[i], `msg="still waiting for workers" workers=3 since=`+since+" reason=")
		}
		require.Contains(t, lines[0], "the agent at unix:@a: there is no connection yet")
		require.Contains(t, lines[0], "the agent at unix:@b: no one is there")
		require.Contains(t, lines[2], "the agent at unix:@a: no one is there")
		require.Contains(t, lines[2], "no one is there; alloc: the agent at", "on one line")
	})
}

// Lanes that wait share their lines. A failed dial does not begin a new wait, and what is
// got ends it.
func TestWaitOfLanes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log transcript.Transcript
		p := &Pool{owner: &Client{log: slog.New(slog.NewTextHandler(&log, nil)), life: t.Context()}}
		w := &p.waits
		w.pool = p
		after := func(d time.Duration, lines int) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			require.Len(t, warnings(&log), lines, "%s", &log)
		}
		w.begin(1)
		w.refused(errors.Join(errors.New("full"), errors.New(strings.Repeat("long", 1000))))
		after(4*time.Second, 0)
		w.begin(1)
		after(2*time.Second, 1)
		require.Contains(t, warnings(&log)[0], "workers=2 since=5s")
		require.Contains(t, warnings(&log)[0], `reason="full; longlong`)
		require.Less(t, len(warnings(&log)[0]), 2*maxReasonBytes)
		w.end(1, false)
		w.end(1, false)
		after(2*time.Second, 1)
		w.begin(1)
		after(8*time.Second, 2)
		require.Contains(t, warnings(&log)[1], "workers=1 since=15s")
		w.end(1, true)
		after(time.Hour, 2)
		w.begin(2)
		after(6*time.Second, 3)
		require.Contains(t, warnings(&log)[2], "workers=2 since=5s")
		w.end(2, false)
		after(time.Hour, 3)
		w.begin(1)
		after(4*time.Second, 3)
		after(2*time.Second, 4)
		w.end(1, true)
	})
}
