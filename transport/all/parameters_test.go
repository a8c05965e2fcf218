package all_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

// Parameters that a decorator and a provider have in common say whose they are.
func TestSharedParameters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"seed", "delay", "jitter", "rate"} {
		_, err := transport.Open("trace+faulty+softroce:?" + name + "=1")
		require.ErrorContains(t, err, "parameter "+name+" is known to faulty and to softroce: say whose it is, as in faulty."+name+"=...")
	}
	dev, err := transport.Open("trace+faulty+softroce:?loss=0.1&faulty.seed=2&softroce.seed=3&faulty.delay=1us&softroce.rate=1Gbit&records=10")
	require.NoError(t, err)
	require.Contains(t, dev.Capabilities().Notes, "faults are injected on purpose: seed=2&delay=1µs")
	require.NoError(t, dev.Close())
	_, err = transport.Open("trace+shm:?loss=0.1")
	require.ErrorContains(t, err, "parameter loss is known to no layer of the URL: trace has file, records; shm has none")
}
