package params_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/params"
)

func of(query string) *params.Params { return params.Of(&url.URL{RawQuery: query}) }

func TestValues(t *testing.T) {
	p := of("yes&no=off&kind=b&n=0x10&d=5ms&p=0.25&r=10Gbit")
	require.True(t, p.Boolean("yes", false))
	require.False(t, p.Boolean("no", true))
	require.True(t, p.Boolean("absent", true))
	require.Equal(t, "b", p.Choice("kind", "a", "b"))
	require.Equal(t, "a", p.Choice("other", "a", "b"))
	require.Equal(t, 16, p.Integer("n", 1, 0, 20))
	require.Equal(t, 1, p.Integer("m", 1, 0, 20))
	require.Equal(t, 5*time.Millisecond, p.Duration("d", time.Second, time.Millisecond))
	require.Equal(t, time.Second, p.Duration("e", time.Second, time.Millisecond))
	require.Equal(t, 0.25, p.Probability("p"))
	require.EqualValues(t, 1e10, p.Rate("r"))
	require.Zero(t, p.Rate("s"))
	require.NoError(t, p.Done("it"))
}

func TestMistakes(t *testing.T) {
	for query, says := range map[string]string{
		"b=maybe":   `parameter b: "maybe" is neither on nor off`,
		"c=z":       `parameter c: "z" is none of [x y]`,
		"i=21":      `parameter i: "21" is no number from 1 to 20`,
		"i=1&i=2":   "parameter i: given twice",
		"d=1ns":     `parameter d: "1ns" is no duration from 1ms to 1m0s, such as 5ms`,
		"p=1":       `parameter p: "1" is no probability from 0 to less than 1`,
		"r=10":      `parameter r: "10" is no rate from 1kbit`,
		"colour=no": "parameter colour: it does not know it; it has [b c d i p r]",
		"%zz":       "invalid URL escape",
	} {
		p := of(query)
		p.Boolean("b", false)
		p.Choice("c", "x", "y")
		p.Integer("i", 1, 1, 20)
		p.Duration("d", time.Second, time.Millisecond)
		p.Probability("p")
		p.Rate("r")
		require.ErrorContains(t, p.Done("it"), says, query)
	}
}
