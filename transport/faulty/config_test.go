package faulty

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/transport/loopback"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	dev, err := transport.Open("faulty+loopback:?seed=0x10&queue-full=0.5&recv-full=1&hold=0.25&hold-polls=3&wake=1e-3&status=0.125&disconnect=0&delay=200us&jitter=50us&rate=10Gbit")
	require.NoError(t, err)
	require.Equal(t, "faulty+loopback", dev.Name())
	require.Contains(t, dev.Capabilities().Notes,
		"faults are injected on purpose: seed=16&queue-full=0.5&recv-full=1&hold=0.25&wake=0.001&status=0.125&hold-polls=3&delay=200µs&jitter=50µs&rate=10Gbit")
	require.NoError(t, dev.Close())
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	for query, text := range map[string]string{
		"seed=x":              `faulty: parameter seed is "x"; it takes an unsigned 64-bit number`,
		"seed=-1":             `faulty: parameter seed is "-1"; it takes an unsigned 64-bit number`,
		"seed=1&seed=2":       `faulty: parameter seed is given 2 times; give it once`,
		"hold=1.5":            `faulty: parameter hold is "1.5"; it takes a chance from 0 to 1`,
		"wake=-0.1":           `faulty: parameter wake is "-0.1"; it takes a chance from 0 to 1`,
		"disconnect=NaN":      `faulty: parameter disconnect is "NaN"; it takes a chance from 0 to 1`,
		"status=":             `faulty: parameter status is ""; it takes a chance from 0 to 1`,
		"hold-polls=0":        `faulty: parameter hold-polls is "0"; it takes a number from 1 to 1048576`,
		"hold-polls=99999999": `faulty: parameter hold-polls is "99999999"; it takes a number from 1 to 1048576`,
		"delay=-1us":          `faulty: parameter delay is "-1µs"; it takes a duration from 0s to 1m0s, such as 200us`,
		"delay=0.3":           `faulty: parameter delay is "0.3"; it takes a duration from 0s to 1m0s, such as 200us`,
		"jitter=2m":           `faulty: parameter jitter is "2m0s"; it takes a duration`,
		"rate=10":             `faulty: parameter rate is "10"; it takes a rate from 1kbit to 10000Gbit a second`,
		"queuefull=0.1":       `parameter queuefull is known to no layer of the URL: faulty has delay, disconnect, `,
	} {
		_, err := transport.Open("faulty+loopback:?" + query)
		require.ErrorIs(t, err, transport.ErrInvalid, query)
		require.ErrorContains(t, err, text, query)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{QueueFull: 2}, {Status: math.NaN()}, {HoldPolls: -1}, {Delay: -1}, {Jitter: time.Hour}, {Rate: 1}, {Rate: math.NaN()}} {
		_, err := New(loopback.New(), cfg)
		require.ErrorIs(t, err, transport.ErrInvalid)
	}
}
