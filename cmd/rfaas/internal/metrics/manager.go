package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc/manager"
)

var (
	managerNodes     = newGauge("rfaas_manager_nodes", "Nodes that are registered, by state.", "state")
	managerCores     = newGauge("rfaas_manager_cores", "Cores that nodes offer, those that are draining too.")
	managerFreeCores = newGauge("rfaas_manager_free_cores", "Cores that nodes have free.")
	managerMemory    = newGauge("rfaas_manager_memory_bytes", "Memory that nodes offer, those that are draining too.")
	managerFree      = newGauge("rfaas_manager_free_memory_bytes", "Memory that nodes have free.")
	managerChanges   = newCounter("rfaas_manager_changes_total", "Changes of nodes: the revision.")
	managerWatchers  = newGauge("rfaas_manager_watchers", "Clients that watch for changes.")
	managerReporting = newGauge("rfaas_manager_reporting_agents", "Agents that are connected to report usage.")

	managerUsage = newUsage("rfaas_manager_tenant", " As the ledger has it, over all starts of agents and manager.", "node", "tenant")
)

// ManagerSource is where what is told of a manager comes from. All are called for each
// scrape, by any goroutine.
type ManagerSource struct {
	Stats     func() manager.Stats
	Reporting func() int // agents that are connected for accounting
	// Totals are accounting.Ledger's: those of leases are left out.
	Totals func() []accounting.Entry
}

// managerCollector collects from a manager.
type managerCollector struct{ from ManagerSource }

// Manager answers Prometheus with what there is of a manager.
func Manager(from ManagerSource) http.Handler { return answer(managerCollector{from}) }

// Describe implements prometheus.Collector.
func (managerCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		managerNodes.Desc, managerCores.Desc, managerFreeCores.Desc, managerMemory.Desc, managerFree.Desc,
		managerChanges.Desc, managerWatchers.Desc, managerReporting.Desc,
	} {
		out <- d
	}
	managerUsage.describe(out)
}

// Collect implements prometheus.Collector.
func (c managerCollector) Collect(out chan<- prometheus.Metric) {
	s := c.from.Stats()
	managerNodes.send(out, float64(s.Nodes-s.Draining), "ready")
	managerNodes.send(out, float64(s.Draining), "draining")
	managerCores.send(out, float64(s.Cores))
	managerFreeCores.send(out, float64(s.FreeCores))
	managerMemory.send(out, float64(s.MemoryBytes))
	managerFree.send(out, float64(s.FreeBytes))
	managerChanges.send(out, float64(s.Revision))
	managerWatchers.send(out, float64(s.Watchers))
	managerReporting.send(out, float64(c.from.Reporting()))

	type account struct{ node, tenant string }
	type used struct{ measured, claimed accounting.Usage }
	all := map[account]used{}
	for _, e := range c.from.Totals() {
		if e.Lease != 0 {
			continue
		}
		k := account{e.Node, e.Tenant}
		u := all[k]
		if e.Claimed {
			u.claimed = u.claimed.Add(e.Usage)
		} else {
			u.measured = u.measured.Add(e.Usage)
		}
		all[k] = u
	}
	for k, u := range all {
		managerUsage.collect(out, u.measured, u.claimed, k.node, k.tenant)
	}
}
