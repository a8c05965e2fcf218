package blackscholes_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"strconv"
	"testing"

	"github.com/rfaas-go/rfaas/examples/blackscholes"
)

// FuzzFunction looks for tables that make Function panic, write more than it
// says, or return a table that is not the input with prices.
func FuzzFunction(f *testing.F) {
	for _, in := range []string{
		"",
		header,
		header + "call,42,40,0.1,0.2,0.5\nP,42,40,0.1,0.2,0\n",
		"\ufeffexpiry,DIVIDEND,type,spot,strike,rate,volatility\r\n1,.02,\"c\",1e-3,0x1p4,-.01,0\r\n",
		header + "put,1e300,1e-300,-700,1e9,1\n",
		header + "call,42,40,0.1,NaN,0.5\n",
		header + "\"call\n\",42,40,0.1,0.2,\"0.5\"\"\n",
		"type;spot\n1;2\n",
	} {
		f.Add([]byte(in), uint16(4096))
		f.Add([]byte(in), uint16(20))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		out := make([]byte, size)
		n, err := blackscholes.Function(context.Background(), in, out)
		if n < 0 || n > len(out) {
			t.Fatalf("%d bytes written to a buffer of %d", n, len(out))
		}
		if err != nil {
			if n != 0 {
				t.Fatalf("%d bytes returned together with the error %v", n, err)
			}
			return
		}
		checkPriced(t, out[:n])
		if _, err := blackscholes.Function(context.Background(), in, make([]byte, n)); err != nil {
			t.Fatalf("a buffer of exactly %d bytes is refused: %v", n, err)
		}
		if _, err := blackscholes.Function(context.Background(), in, make([]byte, n-1)); !errors.Is(err, io.ErrShortBuffer) {
			t.Fatalf("a buffer a byte short of %d gives the error %v", n, err)
		}
	})
}

// checkPriced fails unless result is a CSV table whose last column is a price.
func checkPriced(t *testing.T, result []byte) {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(result)).ReadAll()
	if err != nil {
		t.Fatalf("the result is no CSV: %v\n%q", err, result)
	}
	last := len(records[0]) - 1
	if records[0][last] != "price" {
		t.Fatalf("the last column is %q", records[0][last])
	}
	for _, record := range records[1:] {
		price, err := strconv.ParseFloat(record[last], 64)
		if err != nil || !(price >= 0) || math.IsInf(price, 0) {
			t.Fatalf("%q is no price (%v) in %q", record[last], err, record)
		}
	}
}
