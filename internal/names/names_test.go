package names

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "node-17.cluster:3", "x=1", "O(1)|~", "...", strings.Repeat("n", MaxBytes)} {
		require.NoError(t, Check(name), name)
	}
	for name, why := range map[string]string{
		"":                        "the name is empty: it must have 1 to 64 characters",
		strings.Repeat("n", 65):   "has 65 bytes: at most 64 are allowed",
		"a b":                     "has the byte 0x20 at 1",
		"a/b":                     "has the byte 0x2f at 1",
		`a\b`:                     "has the byte 0x5c at 1",
		"..":                      "is what paths have for folders",
		"a,b":                     "has the byte 0x2c at 1",
		`a"`:                      "has the byte 0x22 at 1",
		"a'":                      "has the byte 0x27 at 1",
		"`":                       "has the byte 0x60 at 0",
		"a\n":                     "has the byte 0x0a at 1",
		"a\x00":                   "has the byte 0x00 at 1",
		"\x1b[31m":                "has the byte 0x1b at 0",
		"a\x7f":                   "has the byte 0x7f at 1",
		"é":                       "has the byte 0xc3 at 0",
		"=HYPERLINK(1)":           "begins with '='",
		"+1":                      "begins with '+'",
		"-1":                      "begins with '-'",
		"@SUM":                    "begins with '@'",
		"a\xffb":                  "has the byte 0xff at 1",
		strings.Repeat("é\n", 99): "bytes: at most 64",
	} {
		require.ErrorContains(t, Check(name), why, "%q", name)
	}
}
