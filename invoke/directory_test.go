package invoke

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDirectory(t *testing.T) {
	t.Parallel()
	r := NewRegistry()
	require.Empty(t, r.directory())
	require.NoError(t, r.Register("a", nothing))
	require.NoError(t, r.Register(strings.Repeat("b", maxNameBytes), nothing, Idempotent(true)))
	told, err := decodeDirectory(r.directory())
	require.NoError(t, err)
	require.Equal(t, map[string]lookupReply{"a": {index: 1}, strings.Repeat("b", maxNameBytes): {index: 2, idempotent: true}}, told)
	for name, index := range r.byName {
		out := make([]byte, lookupReplyBytes)
		n, err := r.lookup(t.Context(), []byte(name), out)
		require.NoError(t, err)
		require.Equal(t, lookupReplyBytes, n)
		require.EqualValues(t, index, out[0], "both ways say the same")
		require.Equal(t, told[name].idempotent, out[4] == lookupIdempotent)
	}

	for i := range maxFunctions - 3 {
		require.NoError(t, r.Register(fmt.Sprint("function ", i), nothing))
	}
	require.Empty(t, r.directory(), "too many")

	for name, b := range map[string][]byte{
		"no name": {0, 0}, "cut short": {0, 2, 'a'}, "flags only": {0},
		"too many": []byte(strings.Repeat("\x00\x01a", maxFunctions)),
	} {
		_, err := decodeDirectory(b)
		require.ErrorContains(t, err, "malformed", name)
	}
	all, err := decodeDirectory([]byte(strings.Repeat("\x00\x01a", maxFunctions-1)))
	require.NoError(t, err)
	require.EqualValues(t, maxFunctions-1, all["a"].index)
}

func nothing(context.Context, []byte, []byte) (int, error) { return 0, nil }
