package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// scrape asks for metrics as Prometheus does, with a token if there is one.
func scrape(t *testing.T, hc *http.Client, url, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+metricsPath, nil)
	require.NoError(t, err)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := hc.Do(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

// metricsOf are the values that a server without tokens answers, by name and labels.
func metricsOf(t *testing.T, url string) map[string]float64 {
	t.Helper()
	status, body := scrape(t, http.DefaultClient, url, "")
	require.Equal(t, http.StatusOK, status, body)
	all := map[string]float64{}
	for line := range strings.Lines(body) {
		if line[0] == '#' {
			continue
		}
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		value, err := strconv.ParseFloat(text, 64)
		require.NoError(t, err, line)
		all[name] = value
	}
	return all
}

// What agent and manager say after a run is what the bill says, exactly.
func TestMetrics(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.agent("a", "--cores", "2")
	admin := c.nodes()["a"].Admin
	at := metricsOf(t, admin)
	require.EqualValues(t, 2, at[`rfaas_agent_cores{state="free"}`])
	require.EqualValues(t, 1, at["rfaas_agent_manager_registered"])
	for name := range at {
		require.NotContains(t, name, "tenant=", "nothing was leased")
	}

	dir := t.TempDir()
	const count = 30
	s := start(t, dir, append([]string{"run", "--manager", c.url, "-f", "test-work", "-o", "out"}, inputs(t, dir, count)...)...)
	require.Equal(t, exitOK, s.wait(), "%s", &s.stderr)
	type row struct {
		Tenant      string `json:"tenant"`
		CoreNS      uint64 `json:"core_ns"`
		ExecutedNS  uint64 `json:"executed_ns"`
		Invocations uint64 `json:"invocations"`
		InBytes     uint64 `json:"in_bytes"`
		OutBytes    uint64 `json:"out_bytes"`
	}
	var bill row
	require.True(t, eventually(programTimeout, func() bool {
		stdout := succeed(t, dir, "bill", "--manager", c.url, "--format", "json")
		at = metricsOf(t, admin)
		ended := at[`rfaas_agent_leases_ended_total{reason="released"}`] > 0 && at[`rfaas_agent_cores{state="free"}`] == 2
		return ended && at["rfaas_agent_accounts_waiting"] == 0 && stdout != "" && json.Unmarshal([]byte(stdout), &bill) == nil && bill.Invocations >= count &&
			at[`rfaas_agent_tenant_core_seconds_total{source="measured",tenant="`+bill.Tenant+`"}`] == float64(bill.CoreNS)/1e9
	}), "%v, %v", &bill, at)
	requireUsage := func(at map[string]float64, prefix, labels string) {
		t.Helper()
		labels += `source="measured",tenant="` + bill.Tenant + `"}`
		require.EqualValues(t, bill.Invocations, at[prefix+"invocations_total{"+labels])
		require.EqualValues(t, bill.InBytes, at[prefix+"input_bytes_total{"+labels])
		require.EqualValues(t, bill.OutBytes, at[prefix+"output_bytes_total{"+labels])
		require.Equal(t, float64(bill.CoreNS)/1e9, at[prefix+"core_seconds_total{"+labels])
		require.Equal(t, float64(bill.ExecutedNS)/1e9, at[prefix+"executed_seconds_total{"+labels])
	}
	requireUsage(at, "rfaas_agent_tenant_", "")
	require.Positive(t, at["rfaas_agent_worker_processes_started_total"])
	require.Positive(t, at["rfaas_agent_accounts_reported_timestamp_seconds"])
	require.True(t, eventually(programTimeout, func() bool {
		at = metricsOf(t, admin)
		return at[`rfaas_agent_worker_processes_ended_total{cause="stopped"}`] == at["rfaas_agent_worker_processes_started_total"]
	}), "%v", at)

	at = metricsOf(t, c.url)
	requireUsage(at, "rfaas_manager_tenant_", `node="a",`)
	require.EqualValues(t, 1, at[`rfaas_manager_nodes{state="ready"}`])
	require.EqualValues(t, 2, at["rfaas_manager_cores"])
	require.EqualValues(t, 1, at["rfaas_manager_reporting_agents"])
	succeed(t, dir, "drain", "a", "--manager", c.url)
	require.True(t, eventually(programTimeout, func() bool {
		return metricsOf(t, admin)["rfaas_agent_draining"] == 1 && metricsOf(t, c.url)[`rfaas_manager_nodes{state="draining"}`] == 1
	}))
	c.end()
}

// With tokens metrics need one: an agent's its owner's, as all leases do, a
// manager's for everybody who may ask which nodes there are.
func TestMetricsOverTLS(t *testing.T) {
	t.Parallel()
	c := newSecureCluster(t, seat{host: "127.0.0.1", device: "softroce://127.0.0.1:0"}, seat{host: "127.0.0.1", device: "softroce://127.0.0.1:0"})
	authorities := x509.NewCertPool()
	require.True(t, authorities.AppendCertsFromPEM([]byte(read(t, c.dir, "ca"))))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authorities}}}
	t.Cleanup(client.CloseIdleConnections)
	admin := c.known().Admin
	const known, unknown, wrong = http.StatusOK, http.StatusUnauthorized, http.StatusForbidden
	for who, status := range map[string]struct{ agent, manager int }{
		"": {unknown, unknown}, "stranger": {unknown, unknown}, "alice": {wrong, known}, "n1": {wrong, known}, "olga": {known, known},
	} {
		token := ""
		if who != "" {
			token = strings.TrimSpace(read(t, c.dir, who))
		}
		for url, want := range map[string]int{admin: status.agent, c.url: status.manager} {
			got, body := scrape(t, client, url, token)
			require.Equal(t, want, got, "%q at %s: %s", who, url, body)
			require.Equal(t, want == known, strings.Contains(body, "\nrfaas_"), "%q at %s", who, url)
		}
	}
}
