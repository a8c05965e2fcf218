package benchmarks

import (
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

// counted is loopback that counts how often it was asked for its counters.
type counted struct {
	transport.Adapter
	asked atomic.Uint64
}

func (c *counted) Counters() map[string]uint64 {
	return map[string]uint64{"asked": c.asked.Add(1), "retransmissions": 7}
}

// claiming is an adapter with features that it does not have.
type claiming struct {
	transport.Adapter
	more transport.Features
}

func (c claiming) Unwrap() transport.Adapter { return c.Adapter }

func (c claiming) Capabilities() transport.Capabilities {
	caps := c.Adapter.Capabilities()
	caps.Features |= c.more
	caps.Features &^= transport.FeatureSharedReceive // which it would have to decorate, too
	return caps
}

func init() {
	for scheme, adapter := range map[string]func() claiming{
		"counted":   func() claiming { return claiming{Adapter: &counted{Adapter: loopback.New()}} },
		"networked": func() claiming { return claiming{loopback.New(), transport.FeatureCrossHost} },
		// What it takes to test a peer behind TCP on one machine.
		"far": func() claiming {
			return claiming{loopback.New(), transport.FeatureCrossHost | transport.FeatureCrossProcess}
		},
	} {
		transport.Register(scheme, func(*url.URL) (transport.Adapter, error) { return adapter(), nil })
	}
}

func TestCountersOf(t *testing.T) {
	t.Parallel()
	inner := &counted{Adapter: loopback.New()}
	defer inner.Close()
	require.Equal(t, uint64(1), countersOf(inner)["asked"])
	require.Equal(t, uint64(2), countersOf(claiming{Adapter: claiming{Adapter: inner}})["asked"])
	require.Nil(t, countersOf(claiming{Adapter: inner.Adapter}))
	require.Nil(t, (&session{}).counters(), "a bare test has no device")
}

func TestIncreases(t *testing.T) {
	t.Parallel()
	require.Equal(t, map[string]uint64{"a": 3, "b": 0, "new": 4},
		increases(map[string]uint64{"a": 2, "b": 5}, map[string]uint64{"a": 5, "b": 5, "new": 4}))
	require.Nil(t, increases(nil, nil))
}

// Counters are those of the measured phase, without the warm-up before it.
func TestCountersAreMeasured(t *testing.T) {
	requireTwoCores(t)
	r := runOne(t, Config{Test: "send-lat", Transport: "counted:", Iterations: few})[0]
	require.Equal(t, map[string]uint64{"asked": 1, "retransmissions": 0}, r.Counters)
	r = runOne(t, Config{Test: "send-lat", Transport: "loopback:", Iterations: few})[0]
	require.Nil(t, r.Counters)
}

// Packets that were sent again tell of a processor that was away only if nothing was
// lost, and there was a timeout.
func TestStalled(t *testing.T) {
	t.Parallel()
	counters := func(more ...string) map[string]uint64 {
		m := map[string]uint64{"retransmitted": 256, "timeouts": 2, "sequence_naks_received": 0, "faults_lost": 0, "data_sent": 1000}
		for _, name := range more {
			m[name] = 1 - min(m[name], 1)
		}
		return m
	}
	require.True(t, (&Result{Counters: counters()}).stalled())
	require.False(t, (&Result{Counters: counters(), remote: true}).stalled())
	for _, name := range []string{"retransmitted", "timeouts", "sequence_naks_received", "lost_responses", "icrc_failures", "faults_lost", "faults_delayed"} {
		require.False(t, (&Result{Counters: counters(name)}).stalled(), name)
	}
	require.False(t, (&Result{}).stalled())
}

func TestTroubles(t *testing.T) {
	t.Parallel()
	require.Equal(t, "ICRCErrors 1, packets_retransmitted 2, retransmissions 3, rnr_received 4, sequence_naks_sent 5", troubles(map[string]uint64{
		"retransmissions": 3, "packets_retransmitted": 2, "sequence_naks_sent": 5, "rnr_received": 4, "ICRCErrors": 1,
		"naks_received": 0, "packets_sent": 1000, "acks_received": 12,
	}))
	require.Empty(t, troubles(map[string]uint64{"packets_sent": 1000, "retransmissions": 0}))
	require.Empty(t, troubles(nil))
}
