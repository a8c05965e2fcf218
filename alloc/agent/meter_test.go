package agent

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/invoke"
)

// A call is counted in the agent's page, without an allocation.
func TestMeter(t *testing.T) {
	page, err := accounting.CreatePage("", accounting.PageHeader{Epoch: 1, Lease: 1, Tenant: "tenant"})
	require.NoError(t, err)
	defer page.Close()
	m, err := NewMeter(page.File())
	require.NoError(t, err)
	call := invoke.Execution{BytesIn: 3, BytesOut: 4, Execution: 5, Polled: 6}
	m.Executed(call)
	u, err := page.Usage()
	require.NoError(t, err)
	require.Equal(t, accounting.Usage{accounting.Invocations: 1, accounting.BytesIn: 3, accounting.BytesOut: 4, accounting.ExecutedTime: 5, accounting.PolledTime: 6}, u)
	require.Zero(t, testing.AllocsPerRun(1000, func() { m.Executed(call) }))
}
