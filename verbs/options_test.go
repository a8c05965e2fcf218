package verbs

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
)

func parse(t *testing.T, s string) (options, error) {
	t.Helper()
	u, err := url.Parse(s)
	require.NoError(t, err)
	return parseOptions(u)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	defaults := options{gid: -1, psn: -1, resources: 16, rnrTimer: 12, rnrRetries: 7, ackTimeout: 16, retries: 6}
	for url, change := range map[string]func(o *options){
		"verbs:":                  func(*options) {},
		"verbs://mlx5_0":          func(o *options) { o.device = "mlx5_0" },
		"verbs://mlx5_0/2":        func(o *options) { o.device, o.port = "mlx5_0", 2 },
		"verbs://192.0.2.7":       func(o *options) { o.address = netip.MustParseAddr("192.0.2.7") },
		"verbs://[fd00::7]?gid=3": func(o *options) { o.address, o.gid = netip.MustParseAddr("fd00::7"), 3 },
		"verbs:?gid=3&mtu=1024&resources=4&rnr-timer=1&rnr-retries=3&ack-timeout=67ms&retries=2&sl=3&tc=106&psn=0xffffff": func(o *options) {
			*o = options{gid: 3, mtu: 1024, resources: 4, rnrTimer: 1, rnrRetries: 3, ackTimeout: 14, retries: 2, sl: 3, tc: 106, psn: 1<<24 - 1}
		},
	} {
		want := defaults
		change(&want)
		o, err := parse(t, url)
		require.NoError(t, err, url)
		require.Equal(t, want, o, url)
	}
}

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"verbs:mlx5_0":         "write verbs:, verbs://DEVICE",
		"verbs://mlx5_0:1":     "write verbs:, verbs://DEVICE",
		"verbs://mlx5_0/x":     `port "x" of device "mlx5_0" is no number from 1 to 255`,
		"verbs://mlx5_0/0":     "from 1 to 255",
		"verbs:/1":             "port 1 of which device? Write verbs://DEVICE/1",
		"verbs://192.0.2.7/1":  `leave out "/1"`,
		"verbs:?mtu=1500":      "none of 256, 512, 1024, 2048, 4096",
		"verbs:?ack-timeout=0": "parameter ack-timeout",
		"verbs:?retries=8":     "no number from 0 to 7",
		"verbs:?colour=blue":   "parameter colour: verbs does not know it; it has [ack-timeout",
	} {
		_, err := parse(t, url)
		require.ErrorIs(t, err, transport.ErrInvalid, url)
		require.ErrorContains(t, err, says, url)
	}
}

func TestTimeoutCode(t *testing.T) {
	t.Parallel()
	for d, code := range map[time.Duration]int{
		4096 * time.Nanosecond: 1, 8192 * time.Nanosecond: 1, 8193 * time.Nanosecond: 2,
		67 * time.Millisecond: 14, 68 * time.Millisecond: 15, ackUnit << 16: 16, time.Minute: 24,
	} {
		require.Equal(t, code, timeoutCode(d), d)
	}
}

// TestDeclaredParameters: what the URL's layers are told is known is what is read.
func TestDeclaredParameters(t *testing.T) {
	t.Parallel()
	_, err := parse(t, "verbs:?colour=blue")
	require.ErrorContains(t, err, fmt.Sprintf("it has %v", slices.Sorted(slices.Values(parameterNames))))
}
