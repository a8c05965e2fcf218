package roceaddr_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/roceaddr"
)

func sample() roceaddr.Address {
	return roceaddr.Address{
		GID: netip.MustParseAddr("127.0.0.2"), QPN: 0xabcdef, PSN: 0xfffffe, MTU: 4096,
		Resources: 16, Initiates: 8, Port: 4791, Window: 200, Whole: true, Tell: true, LID: 7,
	}
}

func TestRoundTrip(t *testing.T) {
	for _, gid := range []string{"127.0.0.2", "::1", "fe80::1"} {
		a := sample()
		a.GID = netip.MustParseAddr(gid)
		b := a.Encode()
		require.Len(t, b, roceaddr.Bytes)
		got, err := roceaddr.Decode(b)
		require.NoError(t, err)
		require.Equal(t, a, got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(a *roceaddr.Address){
		"MTU":       func(a *roceaddr.Address) { a.MTU = 1500 },
		"no MTU":    func(a *roceaddr.Address) { a.MTU = 0 },
		"QPN":       func(a *roceaddr.Address) { a.QPN = 1 << 24 },
		"QPN 1":     func(a *roceaddr.Address) { a.QPN = 1 },
		"PSN":       func(a *roceaddr.Address) { a.PSN = 1 << 24 },
		"resources": func(a *roceaddr.Address) { a.Resources = 0 },
		"port":      func(a *roceaddr.Address) { a.Port = 0 },
		"GID":       func(a *roceaddr.Address) { a.GID = netip.IPv6Unspecified() },
		"no host":   func(a *roceaddr.Address) { a.GID = netip.MustParseAddr("0.0.0.1") },
		"broadcast": func(a *roceaddr.Address) { a.GID = netip.MustParseAddr("255.255.255.255") },
		"multicast": func(a *roceaddr.Address) { a.GID = netip.MustParseAddr("224.0.0.1") },
	} {
		t.Run(name, func(t *testing.T) {
			a := sample()
			spoil(&a)
			_, err := roceaddr.Decode(a.Encode())
			require.Error(t, err)
		})
	}
	whole := sample().Encode()
	for n := range whole {
		_, err := roceaddr.Decode(whole[:n])
		require.Error(t, err, "%d bytes", n)
	}
	whole[0]++
	_, err := roceaddr.Decode(whole)
	require.Error(t, err, "another version")
}

func TestPathMTU(t *testing.T) {
	for link, want := range map[int]int{65536: 4096, 9000: 4096, 4200: 4096, 4187: 2048, 1500: 1024, 1280: 1024, 576: 256, 300: 0} {
		require.Equal(t, want, roceaddr.PathMTU(link), "link MTU %d", link)
		require.True(t, want == 0 || roceaddr.ValidMTU(want))
	}
}

func TestMessages(t *testing.T) {
	for _, m := range []roceaddr.Message{{Kind: roceaddr.Failed}, {Kind: roceaddr.Failed, Reason: "why"}, {Kind: roceaddr.Closing, PSN: 0xabcdef}} {
		got, err := roceaddr.DecodeMessage(m.Encode())
		require.NoError(t, err)
		require.Equal(t, m, got)
	}
	for _, b := range [][]byte{nil, {1}, {0, 0, 0, 0, 0}, {3, 0, 0, 0, 0}, make([]byte, 2000)} {
		_, err := roceaddr.DecodeMessage(b)
		require.ErrorContains(t, err, "means nothing")
	}
}

func TestPeerFailed(t *testing.T) {
	long := roceaddr.Message{Kind: roceaddr.Failed, Reason: strings.Repeat("\x1b", 2000)}
	got, err := roceaddr.DecodeMessage(long.Encode())
	require.NoError(t, err)
	require.Len(t, got.Reason, 1024)
	require.Equal(t, "the peer's end of the connection failed: it says: "+strings.Repeat(`\x1b`, 1024), got.PeerFailed().Error())
	require.EqualError(t, roceaddr.Message{Kind: roceaddr.Failed}.PeerFailed(), "the peer's end of the connection failed; look there for the reason")
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := roceaddr.Decode(b)
		if err != nil {
			return
		}
		again, err := roceaddr.Decode(a.Encode())
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}
