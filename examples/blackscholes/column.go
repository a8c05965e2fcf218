package blackscholes

import (
	"math"
	"strconv"
	"strings"
)

// priceColumn is the column that a result has and an input must not have.
const priceColumn = "price"

// column is a property of an option, as a table spells it.
type column struct {
	name     string
	optional bool
	want     string                     // what a field must be, to complete "want ..."
	set      func(*Option, string) bool // stores a field; false if it is not what is wanted
}

var columns = [...]column{
	{name: "type", want: `call or put, or C or P`, set: setKind},
	{name: "spot", want: "a price above 0", set: number(positive, func(o *Option) *float64 { return &o.Spot })},
	{name: "strike", want: "a price above 0", set: number(positive, func(o *Option) *float64 { return &o.Strike })},
	{name: "rate", want: "a rate a year, 0.05 for 5 %", set: number(anyNumber, func(o *Option) *float64 { return &o.Rate })},
	{name: "volatility", want: "a volatility a year of at least 0, 0.2 for 20 %", set: number(notNegative, func(o *Option) *float64 { return &o.Volatility })},
	{name: "expiry", want: "a time in years of at least 0, 0.5 for six months", set: number(notNegative, func(o *Option) *float64 { return &o.Expiry })},
	{name: "dividend", optional: true, want: "a yield a year, 0.02 for 2 %", set: number(anyNumber, func(o *Option) *float64 { return &o.Dividend })},
}

// wantedColumns lists the names for an error message.
func wantedColumns() string {
	var required, optional []string
	for _, c := range columns {
		if c.optional {
			optional = append(optional, c.name)
		} else {
			required = append(required, c.name)
		}
	}
	return strings.Join(required, ",") + " and optionally " + strings.Join(optional, ",")
}

// findColumn returns the column with that name in any case, nil if there is none.
func findColumn(name string) *column {
	for i := range columns {
		if strings.EqualFold(columns[i].name, name) {
			return &columns[i]
		}
	}
	return nil
}

func setKind(o *Option, field string) bool {
	switch strings.ToLower(field) {
	case "call", "c":
		o.Kind = Call
	case "put", "p":
		o.Kind = Put
	default:
		return false
	}
	return true
}

// number returns a setter for a finite number that is allowed.
func number(allowed func(float64) bool, property func(*Option) *float64) func(*Option, string) bool {
	return func(o *Option, field string) bool {
		value, err := strconv.ParseFloat(field, 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) || !allowed(value) {
			return false
		}
		*property(o) = value
		return true
	}
}

func anyNumber(float64) bool     { return true }
func positive(v float64) bool    { return v > 0 }
func notNegative(v float64) bool { return v >= 0 }
