package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// number is one of the numbers that a snapshot has.
type number[S any] struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(S) float64
}

// snapshot collects numbers of a snapshot that is made for each scrape.
type snapshot[S any] struct {
	stats   func() S
	numbers []number[S]
}

// Describe implements prometheus.Collector.
func (s snapshot[S]) Describe(out chan<- *prometheus.Desc) {
	for _, n := range s.numbers {
		out <- n.desc
	}
}

// Collect implements prometheus.Collector.
func (s snapshot[S]) Collect(out chan<- prometheus.Metric) {
	stats := s.stats()
	for _, n := range s.numbers {
		out <- prometheus.MustNewConstMetric(n.desc, n.kind, n.of(stats))
	}
}

func gauge[S any](name, help string, of func(S) float64) number[S] {
	return number[S]{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, of}
}

func counter[S any](name, help string, of func(S) float64) number[S] {
	return number[S]{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue, of}
}

// Client collects what a client's Stats says, which is called for each scrape, by any
// goroutine.
func Client(stats func() client.Stats) prometheus.Collector {
	return snapshot[client.Stats]{stats, []number[client.Stats]{
		gauge("rfaas_client_workers", "Workers that are connected.", func(s client.Stats) float64 { return float64(s.Up) }),
		gauge("rfaas_client_waiting_calls", "Calls that wait for a worker.", func(s client.Stats) float64 { return float64(s.Waiting) }),
		counter("rfaas_client_retries_total", "Calls that were made again.", func(s client.Stats) float64 { return float64(s.Retries) }),
		counter("rfaas_client_lost_workers_total", "Workers lost with their connection.", func(s client.Stats) float64 { return float64(s.Losses) }),
	}}
}

// Worker collects what a worker's Stats says, which is called for each scrape, by any
// goroutine.
func Worker(stats func() invoke.Stats) prometheus.Collector {
	return snapshot[invoke.Stats]{stats, []number[invoke.Stats]{
		gauge("rfaas_worker_clients", "Clients that are connected.", func(s invoke.Stats) float64 { return float64(s.Clients) }),
		counter("rfaas_worker_busy_seconds_total", "Time in functions.", func(s invoke.Stats) float64 { return s.Busy.Seconds() }),
		counter("rfaas_worker_refused_calls_total", "Calls answered without being executed.", func(s invoke.Stats) float64 { return float64(s.Refused) }),
	}}
}
