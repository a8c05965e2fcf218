//go:build measure

package benchmarks

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

func init() {
	metered := *lookup("invoke-lat")
	metered.name, metered.about, metered.serve = meteredLat, "invoke-lat at a worker that counts as those of agents do", newMeteredWorkers
	table = append(table, &metered)
}

const meteredLat = "invoke-lat-metered"

// newMeteredWorkers are workers that count calls in a page, as those of agents do.
func newMeteredWorkers(ctx context.Context, s *session) (loop, error) {
	page, err := accounting.CreatePage("", accounting.PageHeader{Epoch: 1, Lease: 1, Tenant: "tenant"})
	if err != nil {
		return nil, err
	}
	meter, err := agent.NewMeter(page.File())
	if err != nil {
		return nil, err
	}
	w := &invokeWorkers{newMeter: func(transport.Peer, []byte) invoke.Meter { return meter }}
	return w.started(ctx, s)
}

// TestMeasureMetering compares calls that are counted with those that are not, hot, over
// shared memory; and those that are not with themselves, for what chance does.
func TestMeasureMetering(t *testing.T) {
	off, on := Config{Test: "invoke-lat", Iterations: million}, Config{Test: meteredLat, Iterations: million}
	f := interleave(t, ours("off", off), ours("on", on), ours("off again", off))
	most := 1.02
	for i := range f[0] {
		most = max(most, f[2][i]/f[0][i])
	}
	t.Logf("on / off %.3f   off again / off %.3f, at most %.3f", ratio(f[1], f[0]), ratio(f[2], f[0]), most)
	require.LessOrEqual(t, ratio(f[1], f[0]), most)
}
