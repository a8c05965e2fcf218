package blackscholes

import "math"

// Kind says what an option gives the right to.
type Kind uint8

const (
	// Call is the right to buy the underlying at the strike.
	Call Kind = iota
	// Put is the right to sell it.
	Put
)

// Option is a European option: it can be exercised at its expiry only.
type Option struct {
	Kind       Kind
	Spot       float64 // price of the underlying now, above 0
	Strike     float64 // in the same currency, above 0
	Rate       float64 // risk-free, a year, continuously compounded
	Volatility float64 // standard deviation of the yearly log return, at least 0
	Expiry     float64 // in years from now, at least 0
	Dividend   float64 // yield, a year, continuously compounded
}

// Price returns what the option is worth now, in the currency of Spot and
// Strike, by the formula of Black and Scholes (1973) with Merton's dividend
// yield (1973). It is never negative; it is infinite or no number where a
// discount factor overflows.
//
// Without time or without volatility nothing is uncertain, and the price is the
// discounted payoff: the intrinsic value, at expiry.
func (o Option) Price() float64 {
	asset := o.Spot * math.Exp(-o.Dividend*o.Expiry) // present value of the underlying at expiry
	cash := o.Strike * math.Exp(-o.Rate*o.Expiry)    // present value of the strike
	sign := 1.0
	if o.Kind == Put {
		sign = -1
	}

	deviation := o.Volatility * math.Sqrt(o.Expiry)
	if deviation == 0 {
		return max(0, sign*(asset-cash))
	}
	forward := math.Log(o.Spot/o.Strike) + (o.Rate-o.Dividend)*o.Expiry
	d1 := forward/deviation + deviation/2
	d2 := forward/deviation - deviation/2
	// Far out of the money the two terms nearly cancel, and rounding may take
	// the difference below zero.
	return max(0, sign*(asset*normalCDF(sign*d1)-cash*normalCDF(sign*d2)))
}

// normalCDF returns the probability that a standard normal variable is below x.
// Erfc keeps its relative precision in the lower tail, where 1+Erf has none.
func normalCDF(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }
