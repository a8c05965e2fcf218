package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rfaas-go/rfaas/alloc/lease"
)

// The reasons that a counter can have, and their labels. All are there from the start, so
// that the first of a kind is an increase.
var (
	refusedReasons = map[lease.Reason]string{
		lease.NoCores:      "no_cores",
		lease.NoMemory:     "no_memory",
		lease.OverQuota:    "over_quota",
		lease.NodeDraining: "draining",
		lease.TooMuch:      "too_much",
		lease.Malformed:    "malformed",
		lease.CodeRefused:  "code_refused",
		lease.CodeComing:   "code_coming",
		lease.Stranger:     "stranger",
	}
	endedReasons = map[lease.Reason]string{
		lease.Released:  "released",
		lease.Expired:   "expired",
		lease.Revoked:   "revoked",
		lease.AgentEnds: "agent_ends",
	}
	workerReasons = map[lease.Reason]string{
		lease.NoReason:          "stopped",
		lease.WorkerDied:        "died",
		lease.WorkerOverran:     "overran",
		lease.WorkerOutOfMemory: "out_of_memory",
		lease.WorkerOverstayed:  "overstayed",
		lease.WorkerOverflowed:  "overflowed",
	}
)

// byReason collects a counter for each reason.
func byReason(out chan<- prometheus.Metric, c metric, labels map[lease.Reason]string, counts map[lease.Reason]uint64) {
	for reason, label := range labels {
		c.send(out, float64(counts[reason]), label)
	}
}
