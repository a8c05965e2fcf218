package softroce

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/slowlink"
)

func parse(t *testing.T, s string) (options, error) {
	t.Helper()
	u, err := url.Parse(s)
	require.NoError(t, err)
	return parseOptions(u)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parse(t, "softroce:")
	require.NoError(t, err)
	require.False(t, o.address.IsValid())
	require.Equal(t, -1, o.psn)

	o, err = parse(t, "softroce://127.0.0.2")
	require.NoError(t, err)
	require.Equal(t, netip.MustParseAddrPort("127.0.0.2:4791"), o.address)

	o, err = parse(t, "softroce://[::1]:5000?mtu=1024&segmentation=off&icrc=exact&resources=4&rnr-timer=1&rnr-retries=3&retries=2&min-timeout=1ms&ack-timeout=20ms&psn=0xffffff&loss=0.01&duplicate=0.02&reorder=0.03&corrupt=0.04&delay=200us&jitter=50us&rate=10Gbit&seed=9")
	require.NoError(t, err)
	require.Equal(t, options{
		address: netip.MustParseAddrPort("[::1]:5000"), mtu: 1024, exact: true, resources: 4, rnrTimer: 1, rnrRetries: 3, retries: 2,
		minTimeout: time.Millisecond, ackTimeout: 20 * time.Millisecond, psn: 1<<24 - 1,
		faults: faultConfig{0.01, 0.02, 0.03, 0.04, slowlink.Config{Delay: 200 * time.Microsecond, Jitter: 50 * time.Microsecond, Rate: 1e10}, 9},
	}, o)

	for _, trusted := range []string{"?trust-network", "?trust-network=on", "?trust-network=true"} {
		_, err = parse(t, "softroce://192.0.2.7"+trusted)
		require.NoError(t, err)
	}
}

// What is wrong, where, and what to do.
func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"softroce:/path":                         "write softroce: or softroce://ADDRESS",
		"softroce:opaque":                        "write softroce: or softroce://ADDRESS",
		"softroce://localhost":                   "not a name",
		"softroce://0.0.0.0":                     "one address of this machine",
		"softroce://[::]":                        "one address of this machine",
		"softroce://224.0.0.1":                   "one address of this machine",
		"softroce://127.0.0.1:99999":             "65535",
		"softroce://192.0.2.7":                   "softroce://192.0.2.7?trust-network",
		"softroce://192.0.2.7?trust-network=off": "softroce://192.0.2.7?trust-network",
		"softroce:?trust-network=maybe":          `parameter trust-network: "maybe" is neither on nor off`,
		"softroce:?mtu=1500":                     "none of 256, 512, 1024, 2048, 4096",
		"softroce:?mtu=9000":                     `"9000" is no number from 256 to 4096`,
		"softroce:?mtu=x":                        `parameter mtu: "x" is no number`,
		"softroce:?mtu=256&mtu=512":              "given twice",
		"softroce:?loss=1":                       "no probability",
		"softroce:?loss=NaN":                     "no probability",
		"softroce:?delay=2m":                     "no duration from 0s to 1m0s",
		"softroce:?rate=fast":                    `"fast" is no rate from 1kbit`,
		"softroce:?corrupt=-0.1":                 "no probability",
		"softroce:?min-timeout=0s":               "no duration from 10µs",
		"softroce:?ack-timeout=1ms":              "no duration from 5ms",
		"softroce:?icrc=none":                    `"none" is none of [residual exact]`,
		"softroce:?colour=blue":                  "parameter colour: softroce does not know it; it has [ack-timeout",
		"softroce:?resources=0":                  "no number from 1 to 1024",
	} {
		_, err := parse(t, url)
		require.ErrorContains(t, err, says, url)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	open := func(s string) error {
		u, err := url.Parse(s)
		require.NoError(t, err)
		a, err := Open(u)
		if err == nil {
			a.Close()
		}
		return err
	}
	require.ErrorContains(t, open("softroce://192.0.2.7?trust-network"), "192.0.2.7 is no address of this machine")
	first, err := Open(&url.URL{Scheme: "softroce", Host: "127.0.0.33:0"})
	require.NoError(t, err)
	defer first.Close()
	require.ErrorContains(t, open("softroce://"+first.Address().String()), "is in use: another process has an engine there")
}

// TestDeclaredParameters: what the URL's layers are told is known is what is read.
func TestDeclaredParameters(t *testing.T) {
	t.Parallel()
	_, err := parse(t, "softroce:?colour=blue")
	require.ErrorContains(t, err, fmt.Sprintf("it has %v", slices.Sorted(slices.Values(parameterNames))))
}
