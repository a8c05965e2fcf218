package transport

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Users that the user namespace does not know are nobody's equals, not even when this
// process's own user is none that it knows.
func TestTrusted(t *testing.T) {
	t.Parallel()
	const nobody = 65534
	for _, c := range []struct {
		uid, own, stranger int
		want               bool
	}{
		{1000, 1000, -1, true}, {0, 1000, -1, true}, {1001, 1000, -1, false}, {1000, 0, -1, false}, {nobody, nobody, -1, true},
		{1000, 1000, nobody, true}, {0, 1000, nobody, true}, {nobody, 1000, nobody, false}, {nobody, nobody, nobody, false},
	} {
		require.Equal(t, c.want, trusted(c.uid, c.own, c.stranger), "%+v", c)
	}
}
