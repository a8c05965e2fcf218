//go:build !cgo || !linux || !(amd64 || arm64)

package native_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke/runtime/native"
)

func TestMissing(t *testing.T) {
	t.Parallel()
	_, err := native.Open("functions.so", native.Config{})
	require.ErrorIs(t, err, native.ErrNotSupported)
	require.ErrorContains(t, err, "this build has no cgo")
	_, err = native.OpenFile(nil, native.Config{})
	require.ErrorIs(t, err, native.ErrNotSupported)
}
