package pages

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckMappings(t *testing.T) {
	t.Parallel()
	list := "1000-3000 r--p 00000000 fd:01 1234   /" + strings.Repeat("long ", 100) + "\n" +
		"3000-5000 rw-p 00000000 00:00 0\n" +
		"6000-7000 -w-p 00000000 00:00 0\n" +
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
	for _, c := range []struct {
		from, end uint64
		writable  bool
		says      string // "": nothing
	}{
		{0x1000, 0x5000, false, ""},
		{0x1800, 0x2000, false, ""},
		{0x3000, 0x5000, true, ""},
		{0x1000, 0x5000, true, "0x1000 is not writable (r--p)"},
		{0x2fff, 0x5000, true, "0x2fff is not writable"},
		{0x4000, 0x5001, true, "no memory at 0x5000"},
		{0x4000, 0x6001, true, "no memory at 0x5000"},
		{0x6000, 0x7000, true, "0x6000 is not readable (-w-p)"},
		{0x800, 0x2000, false, "no memory at 0x800"},
		{0x7000, 0x8000, false, "no memory at 0x7000"},
		{0xffffffffffff0000, 0xffffffffffff1000, false, "no memory at 0xffffffffffff0000"},
	} {
		err := check(bufio.NewReaderSize(strings.NewReader(list), 64), c.from, c.end, c.writable)
		if c.says == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.says)
		}
	}
	require.NoError(t, check(bufio.NewReader(strings.NewReader("something else\n")), 0x1000, 0x2000, true))
}
