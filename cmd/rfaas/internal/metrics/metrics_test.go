package metrics

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/accounting/words"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/alloc/manager"
)

// used is a different amount of each quantity, in round numbers of the metrics' units.
var used = accounting.Usage{
	accounting.CoreTime: 1_500_000_000, accounting.MemoryTime: 2000, accounting.PolledTime: 250_000_000, accounting.ExecutedTime: 125_000_000,
	accounting.Invocations: 3, accounting.BytesIn: 4, accounting.BytesOut: 5,
}

var anAgent = agentCollector{func() agent.Stats {
	return agent.Stats{
		Free:    lease.Capacity{Cores: 1, MemoryBytes: 10},
		Leased:  lease.Capacity{Cores: 2, MemoryBytes: 20},
		Fencing: lease.Capacity{Cores: 3, MemoryBytes: 30}, Withheld: lease.Capacity{Cores: 4, MemoryBytes: 40},
		Leases: map[lease.State]int{lease.Granted: 5, lease.Noticed: 6, lease.Fencing: 7}, Draining: true, Tenants: 8,
		Ended: map[lease.Reason]uint64{lease.Expired: 9}, Refused: map[lease.Reason]uint64{lease.NoCores: 10, lease.Stranger: 11},
		WorkersStarted: 12, WorkersEnded: map[lease.Reason]uint64{lease.NoReason: 13, lease.WorkerOutOfMemory: 14},
		Accounts: []words.Account{{Epoch: 1, Tenant: "alice", Measured: used}, {Epoch: 1, Tenant: "bob", Claimed: used}},
		Manager:  &agent.ManagerStats{Registered: true, Waiting: 15, Reported: time.UnixMilli(1500)},
	}
}}

var aManager = managerCollector{ManagerSource{
	Stats: func() manager.Stats {
		return manager.Stats{Revision: 1, Nodes: 5, Draining: 2, Cores: 7, FreeCores: 4, MemoryBytes: 70, FreeBytes: 40, Watchers: 6}
	},
	Reporting: func() int { return 8 },
	Totals: func() []accounting.Entry {
		return []accounting.Entry{
			{Node: "n1", Epoch: 1, Tenant: "alice", Usage: used},
			{Node: "n1", Epoch: 2, Tenant: "alice", Usage: used},
			{Node: "n1", Epoch: 2, Tenant: "alice", Usage: used, Claimed: true},
			{Node: "n1", Epoch: 2, Tenant: "alice", Lease: 1, Usage: used},
			{Node: "n2", Epoch: 1, Tenant: "alice", Usage: used},
		}
	},
}}

// gather is all that a collector says, which Prometheus' own rules find nothing wrong
// with.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // that what is collected is what was described
	require.NoError(t, r.Register(c))
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
				labels = append(labels, fmt.Sprintf("%s=%s", l.GetName(), l.GetValue()))
			}
			all[f.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return all
}

func TestAgent(t *testing.T) {
	t.Parallel()
	all := gather(t, anAgent)
	for _, zero := range []string{ // those that have not happened are there
		"leases_ended_total{reason=released}", "leases_ended_total{reason=revoked}", "leases_ended_total{reason=agent_ends}",
		"refusals_total{reason=no_memory}", "refusals_total{reason=over_quota}", "refusals_total{reason=draining}", "refusals_total{reason=too_much}",
		"refusals_total{reason=malformed}", "refusals_total{reason=code_refused}", "refusals_total{reason=code_coming}",
		"worker_processes_ended_total{cause=died}", "worker_processes_ended_total{cause=overflowed}", "worker_processes_ended_total{cause=overran}", "worker_processes_ended_total{cause=overstayed}",
	} {
		value, there := all["rfaas_agent_"+zero]
		require.True(t, there, zero)
		require.Zero(t, value, zero)
		delete(all, "rfaas_agent_"+zero)
	}
	want := map[string]float64{
		"rfaas_agent_cores{state=free}": 1, "rfaas_agent_cores{state=leased}": 2, "rfaas_agent_cores{state=fencing}": 3, "rfaas_agent_cores{state=withheld}": 4,
		"rfaas_agent_memory_bytes{state=free}": 10, "rfaas_agent_memory_bytes{state=leased}": 20, "rfaas_agent_memory_bytes{state=fencing}": 30, "rfaas_agent_memory_bytes{state=withheld}": 40,
		"rfaas_agent_leases{state=granted}": 5, "rfaas_agent_leases{state=draining}": 6, "rfaas_agent_leases{state=fencing}": 7,
		"rfaas_agent_draining{}": 1, "rfaas_agent_connected_tenants{}": 8,
		"rfaas_agent_leases_ended_total{reason=expired}": 9, "rfaas_agent_refusals_total{reason=no_cores}": 10, "rfaas_agent_refusals_total{reason=stranger}": 11,
		"rfaas_agent_worker_processes_started_total{}": 12, "rfaas_agent_worker_processes_ended_total{cause=stopped}": 13,
		"rfaas_agent_worker_processes_ended_total{cause=out_of_memory}": 14,
		"rfaas_agent_manager_registered{}":                              1, "rfaas_agent_accounts_waiting{}": 15, "rfaas_agent_accounts_reported_timestamp_seconds{}": 1.5,
	}
	maps.Copy(want, usageOf("rfaas_agent_tenant", 1, "source=measured,tenant=alice"))
	maps.Copy(want, usageOf("rfaas_agent_tenant", 0, "source=measured,tenant=bob"))
	maps.Copy(want, usageOf("rfaas_agent_tenant", 1, "source=claimed,tenant=bob"))
	require.Equal(t, want, all)
}

// usageOf is so many times used.
func usageOf(prefix string, times float64, labels string) map[string]float64 {
	all := map[string]float64{}
	for name, value := range map[string]float64{
		"core_seconds": 1.5, "memory_byte_seconds": 2 << 20, "polled_seconds": 0.25, "executed_seconds": 0.125, "invocations": 3, "input_bytes": 4, "output_bytes": 5,
	} {
		all[prefix+"_"+name+"_total{"+labels+"}"] = times * value
	}
	return all
}

// An agent without a manager says nothing of one.
func TestAgentAlone(t *testing.T) {
	t.Parallel()
	for name := range gather(t, agentCollector{func() agent.Stats { return agent.Stats{} }}) {
		require.NotContains(t, name, "manager")
		require.NotContains(t, name, "accounts")
	}
}

// Epochs are added up, leases are in their tenants' accounts already.
func TestManager(t *testing.T) {
	t.Parallel()
	want := map[string]float64{
		"rfaas_manager_nodes{state=ready}": 3, "rfaas_manager_nodes{state=draining}": 2, "rfaas_manager_cores{}": 7, "rfaas_manager_free_cores{}": 4,
		"rfaas_manager_memory_bytes{}": 70, "rfaas_manager_free_memory_bytes{}": 40, "rfaas_manager_changes_total{}": 1, "rfaas_manager_watchers{}": 6, "rfaas_manager_reporting_agents{}": 8,
	}
	maps.Copy(want, usageOf("rfaas_manager_tenant", 2, "node=n1,source=measured,tenant=alice"))
	maps.Copy(want, usageOf("rfaas_manager_tenant", 1, "node=n1,source=claimed,tenant=alice"))
	maps.Copy(want, usageOf("rfaas_manager_tenant", 1, "node=n2,source=measured,tenant=alice"))
	require.Equal(t, want, gather(t, aManager))
}

// Whatever reason there is has a label.
func TestReasons(t *testing.T) {
	t.Parallel()
	for r := lease.NoReason; r.String() != fmt.Sprintf("reason %d", r); r++ {
		if r == lease.Unknown {
			continue // what a client is told of a lease that is not its own counts nowhere
		}
		labels := 0
		for _, of := range []map[lease.Reason]string{refusedReasons, endedReasons, workerReasons} {
			if of[r] != "" {
				labels++
			}
		}
		require.Equal(t, 1, labels, "%v", r)
	}
}

// The documentation has all metrics, and no others.
func TestDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/METRICS.md")
	require.NoError(t, err)
	there := map[string]bool{}
	for _, c := range []prometheus.Collector{anAgent, aManager} {
		for name := range gather(t, c) {
			name, _, _ = strings.Cut(name, "{")
			there[name] = true
		}
	}
	documented := map[string]bool{}
	for _, name := range regexp.MustCompile("`(rfaas_(?:agent|manager)_[a-z_]+)").FindAllStringSubmatch(string(text), -1) {
		documented[name[1]] = true
	}
	require.Equal(t, slices.Sorted(maps.Keys(there)), slices.Sorted(maps.Keys(documented)))
}

// What is answered is Prometheus' format, with the process itself.
func TestAnswer(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	Agent(anAgent.stats).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Header().Get("Content-Type"), "text/plain; version=0.0.4")
	for _, line := range []string{`rfaas_agent_cores{state="free"} 1`, "process_start_time_seconds ", "go_goroutines "} {
		require.Contains(t, w.Body.String(), "\n"+line)
	}
}

// BenchmarkAnswer is one scrape.
func BenchmarkAnswer(b *testing.B) {
	h := Agent(anAgent.stats)
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	}
}
