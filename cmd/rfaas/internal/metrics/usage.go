package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rfaas-go/rfaas/accounting"
)

// quantity is how a quantity of the accounts is named.
type quantity struct {
	name, help string
	units      float64 // of the account in one of the metric's
}

const (
	nanoseconds = float64(time.Second)
	mibMS       = 1000 / float64(1<<20) // MiB for milliseconds in a byte for a second
)

var quantities = [accounting.Quantities]quantity{
	accounting.CoreTime:     {"core_seconds_total", "Cores that were leased x time.", nanoseconds},
	accounting.MemoryTime:   {"memory_byte_seconds_total", "Memory that was leased x time.", mibMS},
	accounting.PolledTime:   {"polled_seconds_total", "Time for which workers polled for calls.", nanoseconds},
	accounting.ExecutedTime: {"executed_seconds_total", "Time for which functions ran.", nanoseconds},
	accounting.Invocations:  {"invocations_total", "Calls.", 1},
	accounting.BytesIn:      {"input_bytes_total", "Inputs of calls.", 1},
	accounting.BytesOut:     {"output_bytes_total", "Results of calls.", 1},
}

// usage is a counter for each quantity, with the label source: "measured", or "claimed"
// for what the code of the tenant says of itself, which can be any number.
type usage [accounting.Quantities]metric

// newUsage makes them; names begin with the prefix, and what the help adds is for all.
func newUsage(prefix, help string, labels ...string) (u usage) {
	for q, as := range quantities {
		u[q] = newCounter(prefix+"_"+as.name, as.help+help, append(labels, "source")...)
	}
	return u
}

func (u *usage) describe(out chan<- *prometheus.Desc) {
	for _, c := range u {
		out <- c.Desc
	}
}

// collect collects usage. If nothing is claimed, only what is measured.
func (u *usage) collect(out chan<- prometheus.Metric, measured, claimed accounting.Usage, labels ...string) {
	for q, c := range u {
		c.send(out, float64(measured[q])/quantities[q].units, append(labels, "measured")...)
		if !claimed.IsZero() {
			c.send(out, float64(claimed[q])/quantities[q].units, append(labels, "claimed")...)
		}
	}
}
