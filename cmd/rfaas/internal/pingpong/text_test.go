package pingpong

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// texts are what ibv_rc_pingpong 44.0 sent over kernel rxe, and printed.
var texts = map[string]struct {
	address Address
	printed string
}{
	"0000:000011:31e97e:00000000000000000000ffff0a090001\x00": {
		Address{QPN: 0x11, PSN: 0x31e97e, GID: netip.MustParseAddr("10.9.0.1")},
		"LID 0x0000, QPN 0x000011, PSN 0x31e97e, GID ::ffff:10.9.0.1",
	},
	"0000:000012:448db0:fd090000000000000000000000000001\x00": {
		Address{QPN: 0x12, PSN: 0x448db0, GID: netip.MustParseAddr("fd09::1")},
		"LID 0x0000, QPN 0x000012, PSN 0x448db0, GID fd09::1",
	},
	"00ab:ffffff:000000:00000000000000000000000000000000\x00": {
		Address{LID: 0xab, QPN: 0xffffff, GID: netip.IPv6Unspecified()},
		"LID 0x00ab, QPN 0xffffff, PSN 0x000000, GID ::",
	},
}

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range texts {
		got, err := parseAddress([]byte(text))
		require.NoError(t, err)
		require.Equal(t, want.address, got)
		require.Equal(t, text, string(want.address.text()))
		require.Equal(t, want.printed, got.String())
	}
}

func TestTextRefuses(t *testing.T) {
	t.Parallel()
	const good = "0000:000011:31e97e:00000000000000000000ffff0a090001\x00"
	for n := range good {
		_, err := parseAddress([]byte(good[:n]))
		require.Error(t, err, "%d bytes", n)
		_, err = parseAddress([]byte(good[:n] + "x" + good[n+1:]))
		require.ErrorContains(t, err, "is no address of ibv_rc_pingpong", "an x at %d", n)
	}
	for _, bad := range []string{
		good + "\x00", strings.Replace(good, "0000:", "+000:", 1), strings.Replace(good, "0000:", "0x00:", 1),
		strings.Replace(good, "31e97e", "3_e97e", 1), strings.Replace(good, "0a09", " a09", 1),
	} {
		_, err := parseAddress([]byte(bad))
		require.Error(t, err, bad)
	}
}

func FuzzParseAddress(f *testing.F) {
	for text := range texts {
		f.Add([]byte(text))
	}
	f.Add([]byte("0000:00000g:31e97e:00000000000000000000ffff0a090001\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAddress(b)
		if err != nil {
			require.Zero(t, a)
			return
		}
		require.Equal(t, strings.ToLower(string(b)), string(a.text()))
		again, err := parseAddress(a.text())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
