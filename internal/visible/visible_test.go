package visible

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                              "",
		"grüße\t1 \\n":                  "grüße\t1 \\n",
		"\x1b]0;title\x07":              `\x1b]0;title\a`,
		"a\r\nlevel=ERROR":              `a\r\nlevel=ERROR`,
		"\x9b31m\u009b\u202ec\x7f\x00":  `\x9b31m\u009b\u202ec\x7f\x00`,
		"a replacement is one: \ufffd.": "a replacement is one: \ufffd.",
	} {
		require.Equal(t, want, Text(s))
	}
}
