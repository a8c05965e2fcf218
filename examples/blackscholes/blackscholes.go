// Package blackscholes is the function that prices European options: a table of
// options in, the same table with their prices out.
//
// Both tables are CSV (RFC 4180). The first row names the columns, which may
// come in any order and case:
//
//	type        call or put, C or P, in any case
//	spot        price of the underlying now, above 0
//	strike      price at which the option buys or sells it, above 0
//	rate        risk-free interest, a year, continuously compounded: 0.05 is 5 %
//	volatility  standard deviation of the yearly return, at least 0: 0.2 is 20 %
//	expiry      time until the option is exercised or lapses in years, at least 0
//	dividend    yield of the underlying, a year, continuously compounded; this
//	            column may be missing, which means 0
//
// The result has the columns of the input, then price, in the currency of spot
// and strike. A price is written with as many digits as it takes to read the
// same float64 back.
//
//	type,spot,strike,rate,volatility,expiry
//	call,42,40,0.1,0.2,0.5
//
// becomes
//
//	type,spot,strike,rate,volatility,expiry,price
//	call,42,40,0.1,0.2,0.5,4.759422392871532
package blackscholes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

const (
	// Name is what the function is deployed and called as.
	Name = "black-scholes"

	// Idempotent says that an invocation may be repeated, after a lost
	// connection for instance, without a second effect.
	Idempotent = true

	// Extension is the file extension of a result.
	Extension = ".csv"
)

// rowsPerCheck is after how many rows the context is asked whether anybody still
// waits for the result: well below a millisecond's worth.
const rowsPerCheck = 256

// Function reads a table of options from in and writes the priced table to out;
// the package comment has their format. Both are registered memory owned by the
// invocation and only valid until Function returns; they must not overlap. It
// returns the number of result bytes written to out.
//
// A table without options gives a table without prices. An error in the table
// names the line, the column and what was expected there. When the result does
// not fit, the error says how many bytes it takes and wraps [io.ErrShortBuffer].
// When ctx ends, its error is wrapped. After an error the contents of out mean
// nothing.
func Function(ctx context.Context, in, out []byte) (n int, err error) {
	result, err := appendPriced(ctx, out[:0:len(out)], in)
	if err != nil {
		return 0, err
	}
	// Appending went on in a larger array of its own if out was too short.
	if len(result) > len(out) {
		return 0, fmt.Errorf("the result takes %d bytes and the result buffer holds %d: allow a longer result or send fewer options at a time: %w",
			len(result), len(out), io.ErrShortBuffer)
	}
	return len(result), nil
}

// appendPriced appends the priced table to dst.
func appendPriced(ctx context.Context, dst, in []byte) ([]byte, error) {
	table, err := newTable(in)
	if err != nil {
		return nil, err
	}
	dst = appendRow(dst, table.header)
	dst = append(dst, priceColumn...)
	dst = append(dst, '\n')

	for row := 0; ; row++ {
		if row%rowsPerCheck == 0 && ctx.Err() != nil {
			return nil, fmt.Errorf("stopped after %d options: %w", row, ctx.Err())
		}
		option, fields, err := table.next()
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return nil, err
		}
		price := option.Price()
		if math.IsNaN(price) || math.IsInf(price, 0) {
			return nil, fmt.Errorf("line %d: the price is beyond what a float64 holds: check the rate, the dividend and the expiry", table.line())
		}
		dst = appendRow(dst, fields)
		dst = strconv.AppendFloat(dst, price, 'g', -1, 64)
		dst = append(dst, '\n')
	}
}

// appendRow appends the fields, each with a comma behind it. None needs quotes:
// a table's fields are names of columns, numbers and kinds of options.
func appendRow(dst []byte, fields []string) []byte {
	for _, field := range fields {
		dst = append(dst, field...)
		dst = append(dst, ',')
	}
	return dst
}
