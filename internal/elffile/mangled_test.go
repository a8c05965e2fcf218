package elffile

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMangled(t *testing.T) {
	t.Parallel()
	const old, current = "_ZN5hello3sum17h0123456789abcdefE", "_RNvCs4fqI2P2rA04_5hello3sum"
	names := []string{"_Z13sumPvjS_", "_ZN4math3addEPvjS0_", "sum_of", old, current}
	require.Equal(t, "_ZN4math3addEPvjS0_", MangledAs("add", names))
	require.Equal(t, old, MangledAs("sum", names))
	require.Equal(t, current, MangledAs("sum", names[4:]))
	for _, function := range []string{"", "um", "sum_of", "sub"} {
		require.Empty(t, MangledAs(function, names), function)
	}
	for _, name := range []string{"", "_R", "_Release", "Z3sum", "__cxa_throw"} {
		require.False(t, Mangled(name), name)
	}
}
