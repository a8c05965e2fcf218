package accounting

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestUsageAdd(t *testing.T) {
	t.Parallel()
	require.Equal(t, Usage{3, 0, 7}, Usage{1, 0, 5}.Add(Usage{2, 0, 2}))
	require.Equal(t, Usage{math.MaxUint64, 1}, Usage{math.MaxUint64 - 1, 1}.Add(Usage{2, 0}), "a sum that does not fit")
	require.Equal(t, Usage{math.MaxUint64}, Usage{math.MaxUint64 - 1}.Add(Usage{1}))
}

func TestUsageSub(t *testing.T) {
	t.Parallel()
	d, err := Usage{5, 7, 0, 0, 0, 0, math.MaxUint64}.Sub(Usage{5, 2})
	require.NoError(t, err)
	require.Equal(t, Usage{0, 5, 0, 0, 0, 0, math.MaxUint64}, d)
	_, err = Usage{5, 7}.Sub(Usage{4, 8})
	require.EqualError(t, err, "memory_mib_ms went backward, from 8 to 7: cumulative values only grow")
}

func TestUsageIsZero(t *testing.T) {
	t.Parallel()
	require.True(t, Usage{}.IsZero())
	require.False(t, Usage{BytesOut: 1}.IsZero())
}

// Scripts depend on the names.
func TestQuantityNames(t *testing.T) {
	t.Parallel()
	var names []string
	for q := range Quantity(Quantities) {
		names = append(names, q.String())
	}
	require.Equal(t, []string{"core_ns", "memory_mib_ms", "polled_ns", "executed_ns", "invocations", "in_bytes", "out_bytes"}, names)
	require.EqualValues(t, Quantities-1, BytesOut)
	require.Equal(t, "Quantity(7)", Quantity(Quantities).String())
}
