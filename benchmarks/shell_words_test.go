package benchmarks

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShellWords(t *testing.T) {
	t.Parallel()
	require.Equal(t, `rfaas bench --transport 'softroce:?loss=0.1&seed=1' -f a.so:f '' 'it'\''s'`,
		ShellWords("rfaas", "bench", "--transport", "softroce:?loss=0.1&seed=1", "-f", "a.so:f", "", "it's"))
}
