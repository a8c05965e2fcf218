package executor

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What a function prints becomes visible characters, and cannot control a terminal.
func TestOutputIsVisible(t *testing.T) {
	t.Parallel()
	var said printed
	o := newOutput(said.add)
	o.start(func() int { return 7 })
	o.offer([]Function{{Name: "a\n\x1b[2J"}, {Name: "b"}})
	for _, s := range []string{"gr\u00fc\u00dfe\t1\r\nlevel=ERROR\n\n", "\x1b]0;title\x07\x1b[2J", "a\rb\x9b31m\u009b\u202ec\x7f\x00", strings.Repeat("y", maxLineBytes)} {
		n, err := o.stream(Stdout).Write([]byte(s))
		require.NoError(t, err)
		require.Equal(t, len(s), n)
	}
	require.Zero(t, o.end())
	var lines []string
	for _, l := range said.lines {
		require.Equal(t, OutputLine{Process: 7, Function: `a\n\x1b[2J`, Text: l.Text}, l)
		lines = append(lines, l.Text)
	}
	shown := `\x1b]0;title\a\x1b[2Ja\rb\x9b31m\u009b\u202ec\x7f\x00`
	require.Equal(t, []string{"gr\u00fc\u00dfe\t1", "level=ERROR", ""}, lines[:3])
	require.Equal(t, shown, strings.TrimRight(lines[3], "y"))
	require.True(t, strings.HasPrefix(lines[4], "yyy"))
}

// Empty lines are bounded, too: each counts what is shown with it.
func TestOutputOfEmptyLines(t *testing.T) {
	t.Parallel()
	var said printed
	o := newOutput(said.add)
	const more = 1000
	o.stream(Stderr).Write([]byte(strings.Repeat("\n", maxOutputBytes/(1+lineBytes)+1+more)))
	require.Len(t, said.lines, maxOutputBytes/(1+lineBytes)+1)
	require.EqualValues(t, more, o.end())
}

// Each stream has lines of its own; they share the limit.
func TestOutputOfTwoStreams(t *testing.T) {
	t.Parallel()
	var said printed
	o := newOutput(said.add)
	out, err := o.stream(Stdout), o.stream(Stderr)
	for _, w := range []struct {
		to   io.Writer
		text string
	}{{out, "on"}, {err, "first\nsec"}, {out, "e\ntw"}, {err, "ond\nthi"}} {
		fmt.Fprint(w.to, w.text)
	}
	require.Zero(t, o.end())
	require.Equal(t, []OutputLine{{Stream: Stderr, Text: "first"}, {Text: "one"}, {Stream: Stderr, Text: "second"}, {Text: "tw"}, {Stream: Stderr, Text: "thi"}}, said.lines)

	o = newOutput(said.add)
	all := bytes.Repeat([]byte("x"), maxOutputBytes)
	o.stream(Stdout).Write(all)
	o.stream(Stderr).Write([]byte("more"))
	require.Greater(t, o.end(), int64(len("more")))
}
