// Package metrics tells Prometheus what agents and managers are and have counted.
// docs/METRICS.md lists the metrics. They are taken from snapshots at each scrape, so
// that nothing is counted twice, and leases and calls do not wait.
//
// What has the label tenant has as many time series as there are tenants, on each node.
package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// answer answers Prometheus with the metrics of a collector, and those of this process.
func answer(c prometheus.Collector) http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(c, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// metric is the description of a metric with its labels.
type metric struct {
	*prometheus.Desc
	kind prometheus.ValueType
}

func newGauge(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(name, help, labels, nil), prometheus.GaugeValue}
}

func newCounter(name, help string, labels ...string) metric {
	return metric{prometheus.NewDesc(name, help, labels, nil), prometheus.CounterValue}
}

func (m metric) send(out chan<- prometheus.Metric, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(m.Desc, m.kind, value, labels...)
}

// number is 1 for true.
func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
