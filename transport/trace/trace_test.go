package trace_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/faulty"
	"github.com/rfaas-go/rfaas/transport/loopback"
	"github.com/rfaas-go/rfaas/transport/trace"
)

// withoutTimes checks that the times do not decrease, and removes them.
func withoutTimes(t *testing.T, records []trace.Record) []trace.Record {
	t.Helper()
	last := int64(0)
	for i := range records {
		require.GreaterOrEqual(t, records[i].Nanoseconds, last)
		last, records[i].Nanoseconds = records[i].Nanoseconds, 0
	}
	return records
}

func TestRecords(t *testing.T) {
	t.Parallel()
	a, b := pairtest.New(t, "trace+loopback:")
	from, to := a.Alloc(64, transport.LocalOnly), b.Alloc(64, transport.RemoteWrite)
	b.Recv(transport.Recv(10, to.Span(0, 20)).WithSecondSpan(to.Span(20, 4)))
	a.Post(
		transport.WriteImm(1, from.Span(0, 30), to.Remote(0, 64), 5),
		transport.FetchAdd(2, from.Span(0, 8), to.Remote(0, 8), 1).With(transport.Fence), // not allowed there
	)
	a.Take(1)
	b.Take(1)
	require.Equal(t, []trace.Record{
		{Conn: 1, ID: 1, Op: transport.OpWriteImm, Bytes: 30, Imm: 5},
		{Conn: 1, ID: 2, Op: transport.OpFetchAdd, Bytes: 8, Flags: transport.Fence},
		{Conn: 1, ID: 2, Event: trace.Completed, Op: transport.OpFetchAdd, Status: transport.StatusRemoteAccess},
	}, withoutTimes(t, trace.Of(a.Dev.Adapter()).Records()))
	require.Equal(t, []trace.Record{
		{Conn: 1, ID: 10, Op: transport.OpRecv, Bytes: 24},
		{Conn: 1, ID: 10, Event: trace.Completed, Op: transport.OpRecvImm, Bytes: 30, Imm: 5},
	}, withoutTimes(t, trace.Of(b.Dev.Adapter()).Records()))
}

// TestRing fills a ring of two records, less and more than once.
func TestRing(t *testing.T) {
	t.Parallel()
	a, _ := pairtest.New(t, "trace+loopback:?records=2")
	recorder := trace.Of(a.Dev.Adapter())
	for n := range uint64(6) {
		var ids []uint64
		for _, r := range recorder.Records() {
			ids = append(ids, r.ID)
		}
		var want []uint64
		for id := max(n, 2) - 2; id < n; id++ {
			want = append(want, id)
		}
		require.Equal(t, want, ids)
		require.Equal(t, max(n, 2)-2, recorder.Dropped())
		a.Recv(transport.Recv(n, transport.Span{}))
	}
}

func TestRefusedAndDropped(t *testing.T) {
	t.Parallel()
	a, _ := pairtest.New(t, "trace+loopback:?records=4")
	recorder := trace.Of(a.Dev.Adapter())
	require.Empty(t, recorder.Records())
	for id := range uint64(8) { // the depth
		a.Recv(transport.Recv(id, transport.Span{}))
	}
	n, err := a.Conn.PostRecv(transport.Recv(8, transport.Span{}), transport.Recv(9, transport.Span{}))
	require.Zero(t, n)
	require.Equal(t, transport.ErrQueueFull, err)
	require.Equal(t, []trace.Record{
		{Conn: 1, ID: 5, Op: transport.OpRecv},
		{Conn: 1, ID: 6, Op: transport.OpRecv},
		{Conn: 1, ID: 7, Op: transport.OpRecv},
		{Conn: 1, ID: 8, Event: trace.Refused, Op: transport.OpRecv},
	}, withoutTimes(t, recorder.Records()))
	require.EqualValues(t, 5, recorder.Dropped())
}

// TestSharedReceive: receives of a shared queue belong to no connection until
// they complete.
func TestSharedReceive(t *testing.T) {
	t.Parallel()
	server, client := pairtest.NewEnd(t, "trace+loopback:"), pairtest.NewEnd(t, "loopback:")
	shared, err := server.PD.NewSharedReceive(server.Queue, 4)
	require.NoError(t, err)
	cfg := server.Config()
	cfg.Shared = shared
	client.Conn, server.Conn = pairtest.Connect(t, client, server, client.Config(), cfg)
	_, err = shared.PostRecv(transport.Recv(3, transport.Span{}))
	require.NoError(t, err)
	client.Post(transport.Send(1, transport.Span{}))
	server.Take(1)
	require.Equal(t, []trace.Record{
		{ID: 3, Op: transport.OpRecv},
		{Conn: 1, ID: 3, Event: trace.Completed, Op: transport.OpRecv},
	}, withoutTimes(t, trace.Of(server.Dev.Adapter()).Records()))
}

func TestTextFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "trace")
	dev, err := transport.Open("trace+loopback:?file=" + path)
	require.NoError(t, err)
	a := pairtest.NewEndOn(t, dev)
	b := pairtest.NewEnd(t, "loopback:")
	a.Conn, b.Conn = pairtest.Connect(t, a, b, a.Config(), b.Config())
	from := a.Alloc(64, transport.LocalOnly)
	a.Post(transport.Write(7, from.Span(0, 64), transport.RemoteSpan{Len: 64}))
	a.Take(1)
	require.NoError(t, dev.Close())
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Regexp(t, `^# 2 records, 0 older ones dropped
# time_ns conn event op id bytes status
\d+ 1 post write 7 64 -
\d+ 1 done write 7 0 remote access error
$`, string(text))
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	for query, text := range map[string]string{
		"records=0":                `trace: parameter records is "0"; it takes a number from 1 to 16777216`,
		"records=many":             `trace: parameter records is "many"; it takes a number from 1 to 16777216`,
		"records=1&records=2":      `trace: parameter records is given 2 times; give it once`,
		"file=/nowhere/at/all":     `trace: parameter file: open /nowhere/at/all: no such file or directory`,
		"record=5":                 `parameter record is known to no layer of the URL: trace has file, records; loopback has none`,
		"records=16777217&file=-x": `it takes a number from 1 to 16777216`,
	} {
		_, err := transport.Open("trace+loopback:?" + query)
		require.ErrorContains(t, err, text, query)
	}
}

// TestFullDisk: a trace that cannot be written is an error of Device.Close.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	dev, err := transport.Open("trace+loopback:?file=/dev/full")
	require.NoError(t, err)
	require.ErrorContains(t, dev.Close(), "trace: write /dev/full: no space left on device")
}

func TestLog(t *testing.T) {
	t.Parallel()
	a, _ := pairtest.New(t, "trace+loopback:?records=2")
	from := a.Alloc(64, transport.LocalOnly)
	for id := range uint64(2) {
		a.Post(transport.Write(id, from.Span(0, 64), transport.RemoteSpan{Len: 64}))
	}
	a.Take(2)
	a.Recv(transport.Recv(5, transport.Span{}))
	var out bytes.Buffer
	trace.Of(a.Dev.Adapter()).Log(t.Context(), slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, attr slog.Attr) slog.Attr {
			if attr.Key == slog.TimeKey || attr.Key == "time_ns" {
				return slog.Attr{}
			}
			return attr
		},
	})))
	require.Equal(t, `level=WARN msg="transport trace: older records were dropped" dropped=3
level=WARN msg="transport done" conn=1 op=write id=1 bytes=0 status=flushed
level=DEBUG msg="transport post" conn=1 op=recv id=5 bytes=0 status=-
`, out.String())
}

// newEnd makes an end whose device is traced by a recorder.
func newEnd(t *testing.T, adapter transport.Adapter, recorder *trace.Recorder) *pairtest.End {
	dev := transport.NewDevice("traced", trace.New(adapter, recorder))
	t.Cleanup(func() { require.NoError(t, dev.Close()) })
	return pairtest.NewEndOn(t, dev)
}

// eager is an adapter whose queue pairs call back before a post returns, as if
// another goroutine had been quicker.
type eager struct {
	transport.Adapter
	posted func()
}

type eagerQP struct {
	transport.QP
	adapter *eager
}

func (e *eager) NewQP(cfg transport.QPConfig) (transport.QP, error) {
	qp, err := e.Adapter.NewQP(cfg)
	return eagerQP{qp, e}, err
}

func (q eagerQP) PostSend(wrs []transport.WorkRequest) (int, error) {
	n, err := q.QP.PostSend(wrs)
	q.adapter.posted()
	return n, err
}

// TestPostComesFirst: a post stands before its completion, even if that was
// polled first.
func TestPostComesFirst(t *testing.T) {
	t.Parallel()
	adapter, recorder := &eager{Adapter: loopback.New()}, trace.NewRecorder(10)
	a, b := newEnd(t, adapter, recorder), pairtest.NewEnd(t, "loopback:")
	a.Conn, b.Conn = pairtest.Connect(t, a, b, a.Config(), b.Config())
	adapter.posted = func() { a.Take(1) }
	a.Post(transport.Write(1, transport.Span{}, transport.RemoteSpan{}).With(transport.Signaled))
	require.Equal(t, []trace.Record{
		{Conn: 1, ID: 1, Op: transport.OpWrite, Flags: transport.Signaled},
		{Conn: 1, ID: 1, Event: trace.Completed, Op: transport.OpWrite},
	}, withoutTimes(t, recorder.Records()))
}

// TestOneRecorderForBothEnds: several goroutines record at once.
func TestOneRecorderForBothEnds(t *testing.T) {
	t.Parallel()
	const rounds = 500
	recorder := trace.NewRecorder(4 * rounds)
	a, b := newEnd(t, loopback.New(), recorder), newEnd(t, loopback.New(), recorder)
	a.Conn, b.Conn = pairtest.Connect(t, a, b, a.Config(), b.Config())
	var wg sync.WaitGroup
	wg.Go(func() {
		for id := range uint64(rounds) {
			a.Conn.Post(transport.Send(id, transport.Span{}).With(transport.Signaled))
			a.Take(1)
		}
	})
	wg.Go(func() {
		for id := range uint64(rounds) {
			b.Conn.PostRecv(transport.Recv(id, transport.Span{}))
			b.Take(1)
		}
	})
	wg.Wait()
	counts := map[trace.Record]int{}
	for _, r := range withoutTimes(t, recorder.Records()) {
		counts[trace.Record{Event: r.Event, Op: r.Op}]++
	}
	require.Equal(t, map[trace.Record]int{
		{Event: trace.Posted, Op: transport.OpSend}:    rounds,
		{Event: trace.Posted, Op: transport.OpRecv}:    rounds,
		{Event: trace.Completed, Op: transport.OpSend}: rounds,
		{Event: trace.Completed, Op: transport.OpRecv}: rounds,
	}, counts)
	require.Zero(t, recorder.Dropped())
}

func TestDecoratorsStack(t *testing.T) {
	t.Parallel()
	dev, err := transport.Open("trace+faulty+loopback:?seed=3&wake=1")
	require.NoError(t, err)
	require.NotNil(t, trace.Of(dev.Adapter()))
	_, ok := faulty.Injected(dev.Adapter())
	require.True(t, ok)
	require.Contains(t, strings.Join(dev.Capabilities().Notes, "\n"), "seed=3&wake=1\ntraced: the last 65536 posts and completions are kept")
	require.NoError(t, dev.Close())
	require.Nil(t, trace.Of(loopback.New()))
}

func TestOptionalInterfaces(t *testing.T) {
	t.Parallel()
	_, shares := trace.New(struct{ transport.Adapter }{loopback.New()}, trace.NewRecorder(1)).(transport.SharedReceiver)
	require.False(t, shares)
	full := trace.New(loopback.New(), trace.NewRecorder(1))
	_, shares = full.(transport.SharedReceiver)
	require.True(t, shares)
	pd, err := full.NewPD()
	require.NoError(t, err)
	_, registers := pd.(transport.Registrar)
	require.True(t, registers)
}

// failing is an adapter that makes nothing.
type failing struct{ transport.Adapter }

var errFailing = errors.New("no more")

func (failing) NewCQ(transport.CQConfig) (transport.CQ, error)    { return nil, errFailing }
func (failing) NewQP(transport.QPConfig) (transport.QP, error)    { return nil, errFailing }
func (failing) NewSRQ(transport.SRQConfig) (transport.SRQ, error) { return nil, errFailing }

// TestErrorsPass: what the inner adapter refuses is refused, and not a wrapper
// around nothing.
func TestErrorsPass(t *testing.T) {
	t.Parallel()
	working := trace.New(loopback.New(), trace.NewRecorder(1))
	cq, err := working.NewCQ(transport.CQConfig{Depth: 1})
	require.NoError(t, err)
	a := trace.New(failing{}, trace.NewRecorder(1))
	cq1, err := a.NewCQ(transport.CQConfig{})
	require.Nil(t, cq1)
	require.Equal(t, errFailing, err)
	qp, err := a.NewQP(transport.QPConfig{SendCQ: cq, RecvCQ: cq})
	require.Nil(t, qp)
	require.Equal(t, errFailing, err)
	srq, err := a.(transport.SharedReceiver).NewSRQ(transport.SRQConfig{CQ: cq})
	require.Nil(t, srq)
	require.Equal(t, errFailing, err)
}

// BenchmarkWrite posts a batch of writes and polls, traced and not: the
// difference is what tracing costs.
func BenchmarkWrite(bench *testing.B) {
	for _, url := range []string{"loopback:", "trace+loopback:"} {
		for _, batch := range []int{1, 8} {
			bench.Run(url+"/batch="+string(rune('0'+batch)), func(bench *testing.B) {
				a, b := pairtest.New(bench, url)
				word := b.Alloc(8, transport.RemoteWrite)
				wrs := make([]transport.WorkRequest, batch)
				for i := range wrs {
					wrs[i] = transport.Write(1, transport.Span{}, word.Remote(0, 8)).With(transport.Signaled)
				}
				cs := make([]transport.Completion, batch)
				bench.ReportAllocs()
				for bench.Loop() {
					a.Conn.Post(wrs...)
					a.Queue.Poll(cs)
				}
			})
		}
	}
	for _, url := range []string{"loopback:", "trace+loopback:"} {
		bench.Run(url+"/empty poll", func(bench *testing.B) {
			a, _ := pairtest.New(bench, url)
			var cs [1]transport.Completion
			for bench.Loop() {
				a.Queue.Poll(cs[:])
			}
		})
	}
}
