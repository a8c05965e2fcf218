package metrics

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
)

var (
	agentCores   = newGauge("rfaas_agent_cores", "Cores that are offered, by what they are for. Their sum is all of them. Withheld: the owner has them, or the node is draining. Fencing: processes of an ended lease may still run on them.", "state")
	agentMemory  = newGauge("rfaas_agent_memory_bytes", "Memory that is offered, as rfaas_agent_cores.", "state")
	agentLeases  = newGauge("rfaas_agent_leases", "Leases, by state.", "state")
	agentTenants = newGauge("rfaas_agent_connected_tenants", "Tenants that are connected.")
	agentDrains  = newGauge("rfaas_agent_draining", "Whether the node grants no more leases, 0 or 1.")

	agentEnded          = newCounter("rfaas_agent_leases_ended_total", "Leases that have ended and whose processes are gone, by reason.", "reason")
	agentRefusals       = newCounter("rfaas_agent_refusals_total", "Refusals of leases, packages and connections of tenants, by reason.", "reason")
	agentWorkersStarted = newCounter("rfaas_agent_worker_processes_started_total", "Processes of workers that were started.")
	agentWorkersEnded   = newCounter("rfaas_agent_worker_processes_ended_total", "Processes of workers that have ended, by cause. Stopped: by the agent.", "cause")

	agentRegistered = newGauge("rfaas_agent_manager_registered", "Whether the manager has answered the last registration, 0 or 1.")
	agentWaiting    = newGauge("rfaas_agent_accounts_waiting", "Accounts of tenants with usage that was not reported to the manager yet: while leases are in use there are always some.")
	agentReported   = newGauge("rfaas_agent_accounts_reported_timestamp_seconds", "When all usage had been reported to the manager. 0: not yet.")

	agentUsage = newUsage("rfaas_agent_tenant", "", "tenant")
)

// agentCollector collects from an agent.
type agentCollector struct{ stats func() agent.Stats }

// Agent answers Prometheus with what an agent's Stats says, which is called for each
// scrape, by any goroutine.
func Agent(stats func() agent.Stats) http.Handler { return answer(agentCollector{stats}) }

// Describe implements prometheus.Collector.
func (agentCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		agentCores.Desc, agentMemory.Desc, agentLeases.Desc, agentTenants.Desc, agentDrains.Desc,
		agentEnded.Desc, agentRefusals.Desc, agentWorkersStarted.Desc, agentWorkersEnded.Desc,
		agentRegistered.Desc, agentWaiting.Desc, agentReported.Desc,
	} {
		out <- d
	}
	agentUsage.describe(out)
}

// Collect implements prometheus.Collector.
func (c agentCollector) Collect(out chan<- prometheus.Metric) {
	s := c.stats()
	for state, capacity := range map[string]lease.Capacity{"free": s.Free, "leased": s.Leased, "fencing": s.Fencing, "withheld": s.Withheld} {
		agentCores.send(out, float64(capacity.Cores), state)
		agentMemory.send(out, float64(capacity.MemoryBytes), state)
	}
	for _, state := range []lease.State{lease.Granted, lease.Noticed, lease.Fencing} {
		agentLeases.send(out, float64(s.Leases[state]), state.String())
	}
	agentTenants.send(out, float64(s.Tenants))
	agentDrains.send(out, number(s.Draining))
	agentWorkersStarted.send(out, float64(s.WorkersStarted))
	byReason(out, agentEnded, endedReasons, s.Ended)
	byReason(out, agentRefusals, refusedReasons, s.Refused)
	byReason(out, agentWorkersEnded, workerReasons, s.WorkersEnded)
	if m := s.Manager; m != nil {
		agentRegistered.send(out, number(m.Registered))
		agentWaiting.send(out, float64(m.Waiting))
		reported := 0.0
		if !m.Reported.IsZero() {
			reported = float64(m.Reported.UnixMilli()) / 1000
		}
		agentReported.send(out, reported)
	}
	for _, a := range s.Accounts {
		agentUsage.collect(out, a.Measured, a.Claimed, a.Tenant)
	}
}
