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

// gauge and counter are descriptions of a metric with their labels.
type (
	gauge   struct{ *prometheus.Desc }
	counter struct{ *prometheus.Desc }
)

func newGauge(name, help string, labels ...string) gauge {
	return gauge{prometheus.NewDesc(name, help, labels, nil)}
}

func newCounter(name, help string, labels ...string) counter {
	return counter{prometheus.NewDesc(name, help, labels, nil)}
}

func (g gauge) send(out chan<- prometheus.Metric, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(g.Desc, prometheus.GaugeValue, value, labels...)
}

func (c counter) send(out chan<- prometheus.Metric, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(c.Desc, prometheus.CounterValue, value, labels...)
}

// number is 1 for true.
func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
