package executor

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a function prints is its own, to be seen: lines of its process, which forge no
// other's and are no commands for a terminal.
func TestOutputIsVisible(t *testing.T) {
	t.Parallel()
	var said transcript
	o := newOutput(&said)
	o.of(func() int { return 7 })
	for _, s := range []string{"gr\u00fc\u00dfe\t1\r\nlevel=ERROR\n\n", "\x1b]0;title\x07\x1b[2J", "a\rb\x9b31m\u009b\u202ec\x7f\x00", strings.Repeat("y", maxLineBytes)} {
		n, err := o.Write([]byte(s))
		require.NoError(t, err)
		require.Equal(t, len(s), n)
	}
	o.end()
	lines := strings.Split(said.text.String(), "\n")
	shown := `process 7: \x1b]0;title\a\x1b[2Ja\rb\x9b31m\u009b\u202ec\x7f\x00`
	require.Equal(t, []string{"process 7: gr\u00fc\u00dfe\t1", "process 7: level=ERROR", "process 7: "}, lines[:3])
	require.Equal(t, shown, strings.TrimRight(lines[3], "y"))
	require.True(t, strings.HasPrefix(lines[4], "process 7: yyy"))
}
