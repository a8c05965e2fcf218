package blackscholes_test

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/blackscholes"
)

const (
	call = blackscholes.Call
	put  = blackscholes.Put
)

func TestPriceAgreesWithPublishedValues(t *testing.T) {
	t.Parallel()
	type option = blackscholes.Option
	for _, c := range []struct {
		source    string
		option    option
		price     float64
		tolerance float64 // half a unit of the last digit printed, or as the source has it
	}{
		{"Hull, Options, Futures, and Other Derivatives, 9th ed., example 15.6",
			option{call, 42, 40, 0.10, 0.20, 0.5, 0}, 4.76, 0.005},
		{"Hull, example 15.6", option{put, 42, 40, 0.10, 0.20, 0.5, 0}, 0.81, 0.005},

		// As QuantLib's test-suite/europeanoption.cpp quotes it.
		{"Haug, Option Pricing Formulas, 1998, pp. 2-8", option{call, 60, 65, 0.08, 0.30, 0.25, 0}, 2.1334, 0.5e-4},
		{"Haug, pp. 2-8", option{put, 100, 95, 0.10, 0.20, 0.50, 0.05}, 2.4648, 0.5e-4},
		{"Haug, pp. 2-8", option{put, 19, 19, 0.10, 0.28, 0.75, 0.10}, 1.7011, 0.5e-4},
		{"Haug, pp. 2-8", option{call, 19, 19, 0.10, 0.28, 0.75, 0.10}, 1.7011, 0.5e-4},
		{"Haug, pp. 2-8", option{call, 1.56, 1.60, 0.06, 0.12, 0.50, 0.08}, 0.0291, 0.5e-4},
		{"Haug, pp. 2-8", option{put, 75, 70, 0.10, 0.35, 0.50, 0.05}, 4.0870, 0.5e-4},
		{"Haug, p. 24", option{call, 90, 100, 0.10, 0.15, 0.10, 0.10}, 0.0205, 0.5e-4},
		{"Haug, p. 24", option{call, 110, 100, 0.10, 0.35, 0.50, 0.10}, 15.3086, 0.5e-4},
		{"Haug, p. 24", option{put, 90, 100, 0.10, 0.25, 0.50, 0.10}, 12.2149, 0.5e-4},
		{"Haug, p. 27", option{call, 42, 40, 0.04, 0.35, 0.75, 0.08}, 5.0975, 0.5e-4},

		// optionData.txt; the benchmark itself accepts a difference of 1e-4.
		{"PARSEC blackscholes", option{call, 42, 40, 0.10, 0.20, 0.50, 0}, 4.759423036851750055, 1e-5},
		{"PARSEC blackscholes", option{put, 42, 40, 0.10, 0.20, 0.50, 0}, 0.808600016880314021, 1e-5},
		{"PARSEC blackscholes", option{put, 100, 100, 0.05, 0.15, 1.00, 0}, 3.714602051381290071, 1e-5},
		{"PARSEC blackscholes", option{call, 100, 100, 0.05, 0.15, 1.00, 0}, 8.591659601309890704, 1e-5},
		{"PARSEC blackscholes", option{call, 100, 110, 0.10, 0.10, 0.10, 0}, 0.003523074865584340, 1e-5},
	} {
		require.InDelta(t, c.price, c.option.Price(), c.tolerance, "%s: %+v", c.source, c.option)
	}
}

// The oracle knows neither the formula nor the error function: it adds up what
// the option pays over all prices the underlying may have at expiry.
func TestPriceAgreesWithTheExpectedPayoff(t *testing.T) {
	t.Parallel()
	for _, o := range []blackscholes.Option{
		{call, 100, 100, 0.05, 0.2, 1, 0},
		{put, 100, 100, 0.05, 0.2, 1, 0.03},
		{call, 100, 160, 0.01, 0.3, 0.5, 0},  // far out of the money
		{put, 100, 160, -0.01, 0.3, 0.5, 0},  // deep in it, with negative interest
		{call, 80, 100, 0.03, 0.9, 3, 0.06},  // volatile and long
		{put, 1e-3, 2e-3, 0.2, 0.05, 0.1, 0}, // small change
		{call, 5e6, 4.9e6, 0, 0.01, 0.01, 0}, // a day or so
		{put, 100, 60, 0.02, 0.15, 0.25, -1}, // next to worthless: still a price
	} {
		want := expectedPayoff(o)
		require.InEpsilon(t, want, o.Price(), 1e-9, "%+v", o)
	}
}

// expectedPayoff integrates the discounted payoff over the lognormal density,
// by Simpson's rule between the strike and twelve standard deviations away.
func expectedPayoff(o blackscholes.Option) float64 {
	deviation := o.Volatility * math.Sqrt(o.Expiry)
	drift := (o.Rate - o.Dividend - o.Volatility*o.Volatility/2) * o.Expiry
	integrand := func(z float64) float64 {
		payoff := o.Spot*math.Exp(drift+deviation*z) - o.Strike
		if o.Kind == put {
			payoff = -payoff
		}
		return payoff * math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
	}
	atStrike := (math.Log(o.Strike/o.Spot) - drift) / deviation
	low, high := atStrike, max(atStrike, 0)+12
	if o.Kind == put {
		low, high = min(atStrike, 0)-12, atStrike
	}

	const intervals = 20_000 // even, as Simpson's rule needs it
	step := (high - low) / intervals
	sum := integrand(low) + integrand(high)
	for i := 1; i < intervals; i++ {
		sum += float64(2+2*(i%2)) * integrand(low+float64(i)*step)
	}
	return math.Exp(-o.Rate*o.Expiry) * sum * step / 3
}

var seedFlag = flag.Uint64("seed", 0, "seed of the random portfolios; 0 takes another one every time")

// newRand returns a source of random options, and tells how to have it again.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("to repeat: go test -run '^%s$' -args -seed %d", t.Name(), seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// randomOption returns an option such as might be traded, and some that might not.
func randomOption(rng *rand.Rand) blackscholes.Option {
	o := blackscholes.Option{
		Kind:       blackscholes.Kind(rng.IntN(2)),
		Spot:       math.Exp(rng.Float64()*14 - 4),
		Rate:       rng.Float64()*0.25 - 0.05,
		Volatility: rng.Float64() * 1.5,
		Expiry:     rng.Float64() * 10,
		Dividend:   rng.Float64()*0.2 - 0.02,
	}
	o.Strike = o.Spot * math.Exp(rng.NormFloat64())
	switch rng.IntN(20) {
	case 0:
		o.Expiry = 0
	case 1:
		o.Volatility = 0
	}
	return o
}

// Whatever the model, a call less a put is a forward, no option costs less than
// exercising it surely would bring, and none more than all it can ever bring.
func TestPriceLeavesNoArbitrage(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	for range 5000 {
		o := randomOption(rng)
		asset := o.Spot * math.Exp(-o.Dividend*o.Expiry)
		cash := o.Strike * math.Exp(-o.Rate*o.Expiry)
		rounding := 1e-14 * (asset + cash)

		o.Kind = call
		callPrice := o.Price()
		o.Kind = put
		putPrice := o.Price()

		message := fmt.Sprintf("%+v: call %v, put %v", o, callPrice, putPrice)
		require.InDelta(t, asset-cash, callPrice-putPrice, rounding, "put-call parity: %s", message)
		require.GreaterOrEqual(t, callPrice, max(0, asset-cash-rounding), message)
		require.LessOrEqual(t, callPrice, asset+rounding, message)
		require.GreaterOrEqual(t, putPrice, max(0, cash-asset-rounding), message)
		require.LessOrEqual(t, putPrice, cash+rounding, message)
	}
}

func TestPriceRisesWithVolatility(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	for range 2000 {
		o := randomOption(rng)
		calm := o.Price()
		o.Volatility += 0.05
		rounding := 1e-14 * (o.Spot + o.Strike) * math.Exp(0.5)
		require.GreaterOrEqual(t, o.Price(), calm-rounding, "%+v was worth %v when calmer", o, calm)
	}
}

func TestPriceWithoutUncertaintyIsThePayoff(t *testing.T) {
	t.Parallel()
	discounted := 100 - 90*math.Exp(-0.05*2)
	for name, c := range map[string]struct {
		option blackscholes.Option
		want   float64
	}{
		"expired call in the money":      {blackscholes.Option{call, 100, 90, 0.05, 0.2, 0, 0}, 10},
		"expired call out of the money":  {blackscholes.Option{call, 90, 100, 0.05, 0.2, 0, 0}, 0},
		"expired call at the money":      {blackscholes.Option{call, 100, 100, 0.05, 0.2, 0, 0}, 0},
		"expired put in the money":       {blackscholes.Option{put, 90, 100, 0.05, 0.2, 0, 0}, 10},
		"expired put out of the money":   {blackscholes.Option{put, 100, 90, 0.05, 0.2, 0, 0}, 0},
		"certain call in the money":      {blackscholes.Option{call, 100, 90, 0.05, 0, 2, 0}, discounted},
		"certain put out of the money":   {blackscholes.Option{put, 100, 90, 0.05, 0, 2, 0}, 0},
		"neither time nor volatility":    {blackscholes.Option{call, 100, 90, 0.05, 0, 0, 0.3}, 10},
		"infinitely far out of the call": {blackscholes.Option{call, 1e-300, 1e300, 0, 0.2, 1, 0}, 0},
		"infinitely volatile call":       {blackscholes.Option{call, 100, 90, 0, 1e300, 1, 0}, 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.InDelta(t, c.want, c.option.Price(), 1e-13)
		})
	}
}

func BenchmarkPrice(b *testing.B) {
	o := blackscholes.Option{Kind: put, Spot: 42, Strike: 40, Rate: 0.1, Volatility: 0.2, Expiry: 0.5}
	sum := 0.0
	for b.Loop() {
		sum += o.Price()
	}
	if sum <= 0 {
		b.Fatal("the option is worth nothing")
	}
}
