//go:build !cgo || !linux

package ibv

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMissing(t *testing.T) {
	t.Parallel()
	err := Load()
	require.ErrorIs(t, err, ErrMissing)
	require.ErrorContains(t, err, "this build has no cgo")
	_, err = Devices()
	require.ErrorIs(t, err, ErrMissing)
	_, err = Open("rxe0")
	require.ErrorIs(t, err, ErrMissing)
	require.Empty(t, ForkNote())
	require.Equal(t, "event 1", EventQPFatal.String())
}
