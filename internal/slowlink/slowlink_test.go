package slowlink

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const us = time.Microsecond

// What comes while the link is busy leaves behind the rest.
func TestRateAndDelay(t *testing.T) {
	t.Parallel()
	l := New(Config{Delay: 5 * us, Rate: 8e9}, 0, 0) // 1 byte a nanosecond
	arrive := func(now time.Duration, bytes int) time.Duration { return l.Arrive(l.Leave(now, bytes)) }
	require.Equal(t, 106*us, arrive(100*us, 1000))
	require.Equal(t, 108*us, arrive(100*us, 2000))
	require.Equal(t, 109*us, arrive(102*us, 1000))
	require.Equal(t, 206*us, arrive(200*us, 1000), "the link was idle")
	require.Equal(t, 206*us, arrive(200*us, 0))
}

// Jitter is uniform around the delay, never makes it negative, follows from the
// seed, and keeps the order.
func TestJitter(t *testing.T) {
	t.Parallel()
	run := func(c Config, seed, stream uint64) (delays []time.Duration) {
		l := New(c, seed, stream)
		for i := range time.Duration(1000) {
			now := i * time.Second
			delays = append(delays, l.Arrive(now)-now)
		}
		return delays
	}
	c := Config{Delay: 20 * us, Jitter: 10 * us}
	delays := run(c, 1, 1)
	least, most, sum := delays[0], delays[0], time.Duration(0)
	for _, d := range delays {
		least, most, sum = min(least, d), max(most, d), sum+d
	}
	require.InDelta(t, 10*us, least, float64(us)) // of this seed, the same in every run
	require.InDelta(t, 30*us, most, float64(us))
	require.InDelta(t, 20*us, sum/1000, float64(us))
	require.Equal(t, delays, run(c, 1, 1))
	require.NotEqual(t, delays, run(c, 2, 1))
	require.NotEqual(t, delays, run(c, 1, 2))

	negative := 0
	for _, d := range run(Config{Jitter: 10 * us}, 1, 1) {
		require.GreaterOrEqual(t, d, time.Duration(0))
		if d == 0 {
			negative++
		}
	}
	require.InDelta(t, 500, negative, 100)

	l := New(c, 3, 3)
	last := time.Duration(0)
	for i := range time.Duration(1000) {
		at := l.Arrive(i * us)
		require.GreaterOrEqual(t, at, last)
		last = at
	}
}

func TestRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Rate{"10Gbit": 1e10, "2.5Mbit": 2.5e6, "56kbit": 56e3, "9600bit": 9600, "10000Gbit": 1e13} {
		got, err := ParseRate(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		again, err := ParseRate(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for _, text := range []string{"", "10", "10G", "10gbit", "10GB", "0Gbit", "999bit", "-1Gbit", "NaNGbit", "10001Gbit", "Gbit", "1 Gbit"} {
		_, err := ParseRate(text)
		require.ErrorContains(t, err, "is no rate from 1kbit to 10000Gbit", text)
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	require.Empty(t, Config{}.String())
	require.False(t, Config{}.Slow())
	c := Config{Delay: 200 * us, Jitter: 50 * us, Rate: 1e10}
	require.True(t, c.Slow())
	require.Equal(t, "delay=200µs&jitter=50µs&rate=10Gbit", c.String())
}
