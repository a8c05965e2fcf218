package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/metrics"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// gather is all that a registry has, with the counts of histograms, but for what are times.
func gather(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	problems, err := testutil.GatherAndLint(r)
	require.NoError(t, err)
	require.Empty(t, problems)
	families, err := r.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
			if f.GetName() == "rfaas_worker_busy_seconds_total" {
				require.Positive(t, value)
				value = -1
			}
			all[fmt.Sprint(strings.TrimPrefix(f.GetName(), "rfaas_"), labels)] = value
		}
	}
	return all
}

// TestMetrics: calls of every kind are counted at both sides, and documented.
func TestMetrics(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	dev, err := transport.Open("loopback:")
	require.NoError(t, err)
	near, far := prometheus.NewPedanticRegistry(), prometheus.NewPedanticRegistry()
	registry := invoke.NewRegistry()
	wrap, err := metrics.Wrap(far)
	require.NoError(t, err)
	registry.Wrap(wrap)
	entered, release := make(chan struct{}), make(chan struct{})
	for name, f := range map[string]invoke.Function{
		"echo": func(_ context.Context, in, out []byte) (int, error) { return copy(out, in), nil },
		"wait": func(context.Context, []byte, []byte) (int, error) { entered <- struct{}{}; <-release; return 0, nil },
		"fail": func(context.Context, []byte, []byte) (int, error) { return 0, errors.New("no luck") },
		"bang": func(context.Context, []byte, []byte) (int, error) { panic("on purpose") },
	} {
		require.NoError(t, registry.Register(name, f))
	}
	worker, err := invoke.NewWorker(dev, registry, invoke.WorkerConfig{})
	require.NoError(t, err)
	listener, err := transport.Listen("unix", filepath.Join(t.TempDir(), "worker"))
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- worker.Serve(context.Background(), listener) }()
	hook, err := metrics.Hook(near)
	require.NoError(t, err)
	cl, err := client.DialWith(ctx, dev, client.Config{Hooks: []client.Hook{hook}}, "unix:"+listener.Addr().String())
	require.NoError(t, err)
	near.MustRegister(metrics.Client(cl.Stats))
	far.MustRegister(metrics.Worker(worker.Stats))

	for range 3 {
		_, err = cl.Call(ctx, "echo", make([]byte, 5), make([]byte, 10))
		require.NoError(t, err)
	}
	for _, name := range []string{"fail", "bang", "none"} {
		_, err = cl.Call(ctx, name, make([]byte, 7), nil)
		require.Error(t, err)
	}
	future, err := cl.Go(ctx, "wait", nil)
	require.NoError(t, err)
	<-entered
	running := gather(t, near)
	require.Equal(t, 1.0, running["client_calls[wait]"])
	require.Equal(t, 1.0, gather(t, far)["worker_calls[wait]"])
	close(release)
	_, err = future.Wait(ctx)
	require.NoError(t, err)

	require.Equal(t, map[string]float64{
		"client_call_seconds[echo ok]": 3, "client_call_seconds[fail function_error]": 1, "client_call_seconds[bang crashed]": 1,
		"client_call_seconds[none not_found]": 1, "client_call_seconds[wait ok]": 1,
		"client_calls[echo]": 0, "client_calls[fail]": 0, "client_calls[bang]": 0, "client_calls[none]": 0, "client_calls[wait]": 0,
		"client_input_bytes_total[echo]": 15, "client_input_bytes_total[fail]": 7, "client_input_bytes_total[bang]": 7,
		"client_input_bytes_total[none]": 7, "client_input_bytes_total[wait]": 0,
		"client_result_bytes_total[echo]": 15, "client_result_bytes_total[wait]": 0,
		"client_workers[]": 1, "client_waiting_calls[]": 0, "client_retries_total[]": 0, "client_lost_workers_total[]": 0,
	}, gather(t, near))
	require.NoError(t, cl.Close())
	_, err = cl.Call(ctx, "echo", nil, nil)
	require.ErrorIs(t, err, client.ErrClosed)
	require.Equal(t, 1.0, gather(t, near)["client_call_seconds[echo closed]"])
	require.NoError(t, worker.Close())
	require.NoError(t, <-served)
	require.Equal(t, map[string]float64{
		"worker_call_seconds[echo ok]": 3, "worker_call_seconds[fail function_error]": 1, "worker_call_seconds[bang crashed]": 1, "worker_call_seconds[wait ok]": 1,
		"worker_calls[echo]": 0, "worker_calls[fail]": 0, "worker_calls[bang]": 0, "worker_calls[wait]": 0,
		"worker_input_bytes_total[echo]": 15, "worker_input_bytes_total[fail]": 7, "worker_input_bytes_total[bang]": 7, "worker_input_bytes_total[wait]": 0,
		"worker_result_bytes_total[echo]": 15, "worker_result_bytes_total[wait]": 0,
		"worker_clients[]": 0, "worker_busy_seconds_total[]": -1, "worker_refused_calls_total[]": 0,
	}, gather(t, far))
	require.NoError(t, listener.Close())
	require.NoError(t, dev.Close())

	text, err := os.ReadFile("../../docs/METRICS.md")
	require.NoError(t, err)
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("`rfaas_((?:client|worker)_[a-z_]+)").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = true
	}
	are := map[string]bool{}
	for _, r := range []*prometheus.Registry{near, far} {
		for name := range gather(t, r) {
			are[name[:strings.IndexByte(name, '[')]] = true
		}
	}
	require.Equal(t, slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(are)))

	_, err = metrics.Hook(near)
	require.Error(t, err, "one registry has each metric once")
}
