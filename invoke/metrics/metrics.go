// Package metrics tells Prometheus of calls.
//
//	hook, err := metrics.Hook(registerer)
//	cl, err := client.DialWith(ctx, device, client.Config{Hooks: []client.Hook{hook}}, addresses...)
//	wrap, err := metrics.Wrap(registerer)
//	registry.Wrap(wrap)
//	registerer.MustRegister(metrics.Client(cl.Stats), metrics.Worker(worker.Stats))
//
// docs/METRICS.md lists the metrics. What has the label function has a time series for
// each name that is called or registered.
package metrics

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// calls are the metrics of one side.
type calls struct {
	seconds         *prometheus.HistogramVec // by function and status
	running         *prometheus.GaugeVec     // by function, as are the rest
	inputs, results *prometheus.CounterVec
}

func newCalls(r prometheus.Registerer, side, what string) (*calls, error) {
	name := func(s string) string { return "rfaas_" + side + "_" + s }
	function := []string{"function"}
	c := &calls{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("call_seconds"), Help: "How long " + what + " took, by how it ended.",
			Buckets:                     prometheus.ExponentialBuckets(1e-6, 4, 14), // to 67 s
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160,
		}, []string{"function", "status"}),
		running: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name("calls"), Help: "Of " + what + ", those under way."}, function),
		inputs:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: name("input_bytes_total"), Help: "Inputs."}, function),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{Name: name("result_bytes_total"), Help: "Results."}, function),
	}
	for _, m := range []prometheus.Collector{c.seconds, c.running, c.inputs, c.results} {
		if err := r.Register(m); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// begin counts a call that begins; what it returns, its end.
func (c *calls) begin(function string, in int) (ended func(status string, out int)) {
	began := time.Now()
	running := c.running.WithLabelValues(function)
	running.Inc()
	return func(status string, out int) {
		running.Dec()
		c.seconds.WithLabelValues(function, status).Observe(time.Since(began).Seconds())
		c.inputs.WithLabelValues(function).Add(float64(in))
		if status == label(invoke.StatusOK) {
			c.results.WithLabelValues(function).Add(float64(out))
		}
	}
}

// label is a status as a label's value.
func label(s invoke.Status) string { return strings.ReplaceAll(s.String(), " ", "_") }

// Hook counts a client's calls, from when they begin until they have ended, with their
// retries. Several clients may share one.
func Hook(r prometheus.Registerer) (client.Hook, error) {
	c, err := newCalls(r, "client", "calls")
	if err != nil {
		return nil, err
	}
	return func(_ context.Context, b *client.CallInfo) func(client.Result, error) {
		ended := c.begin(b.Function, b.InputBytes)
		return func(r client.Result, err error) { ended(statusOf(err), r.Bytes) }
	}, nil
}

// statusOf is how a call ended, as a caller sees it.
func statusOf(err error) string {
	if e, ok := errors.AsType[*invoke.Error](err); ok {
		return label(e.Status)
	}
	switch {
	case err == nil:
		return label(invoke.StatusOK)
	case errors.Is(err, client.ErrNoWorker):
		return "no_worker"
	case errors.Is(err, client.ErrFull):
		return "full"
	case errors.Is(err, client.ErrClosed):
		return "closed"
	case errors.Is(err, invoke.ErrWorkerGone):
		return "worker_gone"
	}
	return "error"
}

// Wrap counts the executions of a worker's functions. Several registries may share one.
func Wrap(r prometheus.Registerer) (func(name string, f invoke.Function) invoke.Function, error) {
	c, err := newCalls(r, "worker", "executions")
	if err != nil {
		return nil, err
	}
	return func(name string, f invoke.Function) invoke.Function {
		return func(ctx context.Context, in, out []byte) (n int, err error) {
			ended := c.begin(name, len(in))
			status := invoke.StatusCrashed // unless it returns
			defer func() { ended(label(status), n) }()
			n, err = f(ctx, in, out)
			status = invoke.StatusOf(err)
			return n, err
		}
	}, nil
}
