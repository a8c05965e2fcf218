package wire

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPSN(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		psn  uint32
		n    int
		want uint32
	}{
		{0, 0, 0},
		{0, 1, 1},
		{0, -1, PSNMask},
		{PSNMask, 1, 0},
		{PSNMask - 1, 5, 3},
		{3, -5, PSNMask - 1},
		{7, 1 << 24, 7},
		{0, 1<<23 - 1, 1<<23 - 1},
	} {
		require.Equal(t, c.want, PSNAdd(c.psn, c.n), "%+v", c)
	}
	for _, base := range []uint32{0, 1, 1<<23 - 1, 1 << 23, 1<<23 + 1, PSNMask - 1, PSNMask} {
		for _, n := range []int{0, 1, -1, 2, -2, 1000, -1000, 1<<23 - 1, -(1<<23 - 1), -1 << 23} {
			require.Equal(t, n, PSNDiff(PSNAdd(base, n), base), "%d and %d", base, n)
		}
	}
	require.Equal(t, -1<<23, PSNDiff(1<<23, 0), "halfway around is before")
}

// The codes are those of the specification's table of end-to-end credits.
func TestCredits(t *testing.T) {
	t.Parallel()
	table := []int{
		0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072,
		4096, 6144, 8192, 12288, 16384, 24576, 32768,
	}
	require.Len(t, table, 31)
	for code, want := range table {
		n, limited := DecodeCredits(uint8(code))
		require.True(t, limited)
		require.Equal(t, want, n, "code %d", code)
		n, limited = DecodeCredits(uint8(code) | SyndromeNAK)
		require.True(t, limited)
		require.Equal(t, want, n, "bits above the code matter")
	}
	n, limited := DecodeCredits(CreditsUnlimited)
	require.False(t, limited)
	require.Zero(t, n)

	code := 0
	for receives := range 70_000 {
		if code+1 < len(table) && table[code+1] == receives {
			code++
		}
		require.EqualValues(t, code, EncodeCredits(receives), "%d receives", receives)
	}
	require.EqualValues(t, CreditsUnlimited, EncodeCredits(-1))
}

// The timers are those of the specification's table, in milliseconds.
func TestRNRTimer(t *testing.T) {
	t.Parallel()
	for code, ms := range []float64{
		655.36, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.32, 0.48, 0.64, 0.96, 1.28, 1.92,
		2.56, 3.84, 5.12, 7.68, 10.24, 15.36, 20.48, 30.72, 40.96, 61.44, 81.92, 122.88, 163.84, 245.76, 327.68, 491.52,
	} {
		want := time.Duration(ms*1e6 + 0.5)
		require.Equal(t, want, RNRTimer(uint8(code)), "code %d", code)
		require.Equal(t, want, RNRTimer(SyndromeRNR|uint8(code)), "the whole syndrome does as well")
	}
}
