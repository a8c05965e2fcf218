package blackscholes_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/examples/blackscholes"
)

const header = "type,spot,strike,rate,volatility,expiry\n"

// price runs Function with a result buffer large enough.
func price(in string) (string, error) {
	out := make([]byte, 2*len(in)+64*strings.Count(in, "\n")+256)
	n, err := blackscholes.Function(context.Background(), []byte(in), out)
	return string(out[:n]), err
}

func ExampleFunction() {
	in := []byte("type,spot,strike,rate,volatility,expiry\n" +
		"call,42,40,0.1,0.2,0.5\n")
	out := make([]byte, 4096)

	n, err := blackscholes.Function(context.Background(), in, out)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(string(out[:n]))
	// Output:
	// type,spot,strike,rate,volatility,expiry,price
	// call,42,40,0.1,0.2,0.5,4.759422392871532
}

func TestFunctionKeepsTheTableAndAppendsPrices(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"no options": {
			header,
			"type,spot,strike,rate,volatility,expiry,price\n"},
		"kinds in any spelling": {
			header + "call,9,8,0,0,1\nCALL,9,8,0,0,1\nC,9,8,0,0,1\nc,9,8,0,0,1\nPut,8,9.5,0,0,1\nP,8,9.5,0,0,1\np,8,9.5,0,0,1\n",
			"type,spot,strike,rate,volatility,expiry,price\ncall,9,8,0,0,1,1\nCALL,9,8,0,0,1,1\nC,9,8,0,0,1,1\nc,9,8,0,0,1,1\n" +
				"Put,8,9.5,0,0,1,1.5\nP,8,9.5,0,0,1,1.5\np,8,9.5,0,0,1,1.5\n"},
		"columns in another order and case": {
			"Expiry,Volatility,RATE,strike,Spot,Type\n1,0,0,8,9,call\n",
			"Expiry,Volatility,RATE,strike,Spot,Type,price\n1,0,0,8,9,call,1\n"},
		"a dividend": {
			"type,spot,strike,rate,volatility,expiry,dividend\ncall,100,50,0,0,1,0.6931471805599453\n",
			"type,spot,strike,rate,volatility,expiry,dividend,price\ncall,100,50,0,0,1,0.6931471805599453,0\n"},
		"a spreadsheet's file: byte order mark, quotes, spaces, CRLF, blank lines": {
			"\ufefftype, spot ,strike,rate,volatility,expiry\r\n\r\n\"call\", \"9 \",8 , 0,0,1\r\n\r\n",
			"type,spot,strike,rate,volatility,expiry,price\ncall,9,8,0,0,1,1\n"},
		"no line break at the end": {
			header + "call,9,8,0,0,1",
			"type,spot,strike,rate,volatility,expiry,price\ncall,9,8,0,0,1,1\n"},
		"numbers as written": {
			header + "call,+9e0,08.00,-0,0.0,1E+0\n",
			"type,spot,strike,rate,volatility,expiry,price\ncall,+9e0,08.00,-0,0.0,1E+0,1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := price(c.in)
			require.NoError(t, err)
			require.Empty(t, cmp.Diff(c.want, got))
		})
	}
}

// Every price that Function writes reads back as the float64 it was.
func TestFunctionPricesRoundTrip(t *testing.T) {
	t.Parallel()
	rng := newRand(t)
	var in strings.Builder
	in.WriteString("type,spot,strike,rate,volatility,expiry,dividend\n")
	var want []float64
	for range 500 {
		o := randomOption(rng)
		want = append(want, o.Price())
		kind := map[blackscholes.Kind]string{call: "call", put: "put"}[o.Kind]
		fmt.Fprintf(&in, "%s,%v,%v,%v,%v,%v,%v\n", kind, o.Spot, o.Strike, o.Rate, o.Volatility, o.Expiry, o.Dividend)
	}

	got, err := price(in.String())

	require.NoError(t, err)
	records, err := csv.NewReader(strings.NewReader(got)).ReadAll()
	require.NoError(t, err)
	require.Len(t, records, len(want)+1)
	for i, record := range records[1:] {
		value, err := strconv.ParseFloat(record[len(record)-1], 64)
		require.NoError(t, err)
		require.Equal(t, want[i], value, "option %d: %v", i, record)
	}
}

func TestFunctionNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	const missing = "want type,spot,strike,rate,volatility,expiry and optionally dividend"
	row := func(row string) string { return header + "call,42,40,0.1,0.2,0.5\n" + row + "\n" }
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"empty input":           {"", []string{"the input is empty", "type,spot,strike,rate,volatility,expiry"}},
		"blank lines only":      {"\r\n\n", []string{"the input is empty"}},
		"byte order mark only":  {"\ufeff", []string{"the input is empty"}},
		"missing column":        {"type,spot,rate,volatility,expiry\n", []string{"line 1", `"strike" is missing`, missing}},
		"misspelt column":       {"type,spot,strike,rate,volatility,expiry,dividnd\n", []string{"line 1", `no column "dividnd"`, missing}},
		"repeated column":       {"type,spot,strike,rate,volatility,expiry,Spot\n", []string{"line 1", `"Spot" comes twice`}},
		"priced already":        {"type,spot,strike,rate,volatility,expiry,Price\n", []string{"line 1", `"Price" already`}},
		"other separator":       {"type;spot;strike\n", []string{"line 1", `no column "type;spot;strike"`}},
		"binary":                {"\x89PNG\r\n\x1a\n", []string{"line 1", `no column "\x89PNG"`}},
		"too few fields":        {row("call,42,40"), []string{"line 3", "3 fields", "6 columns"}},
		"too many fields":       {row("call,42,40,0.1,0.2,0.5,7"), []string{"line 3", "7 fields", "6 columns"}},
		"unknown kind":          {row("swap,42,40,0.1,0.2,0.5"), []string{"line 3", `"type"`, `"swap"`, "call or put"}},
		"no number":             {row("call,fortytwo,40,0.1,0.2,0.5"), []string{"line 3", `"spot"`, `"fortytwo"`, "above 0"}},
		"empty field":           {row("call,42,,0.1,0.2,0.5"), []string{"line 3", `"strike"`, `""`, "above 0"}},
		"decimal comma":         {row(`call,42,40,"0,1",0.2,0.5`), []string{"line 3", `"rate"`, `"0,1"`}},
		"NaN volatility":        {row("call,42,40,0.1,NaN,0.5"), []string{"line 3", `"volatility"`, `"NaN"`, "at least 0"}},
		"infinite volatility":   {row("call,42,40,0.1,inf,0.5"), []string{"line 3", `"volatility"`, `"inf"`}},
		"overflowing rate":      {row("call,42,40,1e999,0.2,0.5"), []string{"line 3", `"rate"`, `"1e999"`}},
		"negative volatility":   {row("call,42,40,0.1,-0.2,0.5"), []string{"line 3", `"volatility"`, `"-0.2"`, "at least 0"}},
		"negative expiry":       {row("call,42,40,0.1,0.2,-0.5"), []string{"line 3", `"expiry"`, `"-0.5"`, "years"}},
		"worthless underlying":  {row("call,0,40,0.1,0.2,0.5"), []string{"line 3", `"spot"`, `"0"`, "above 0"}},
		"percent sign":          {row("call,42,40,10%,0.2,0.5"), []string{"line 3", `"rate"`, `"10%"`, "0.05 for 5 %"}},
		"price overflows":       {row("put,42,40,-1e300,0.2,0.5"), []string{"line 3", "beyond what a float64 holds"}},
		"quote within a field":  {row(`call,4"2,40,0.1,0.2,0.5`), []string{"line 3, byte 7", "quotation mark inside"}},
		"quote never closed":    {row(`"call,42,40,0.1,0.2,0.5`), []string{"line 3", "quotation mark is missing"}},
		"line within quotes":    {header + "\"call\n\",42,40,0.1,0.2,x\n", []string{"line 3", `"expiry"`, `"x"`}},
		"a field without limit": {row(strings.Repeat("9", 5000) + "x,42,40,0.1,0.2,0.5"), []string{"line 3", `9"...`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := price(c.in)
			require.Error(t, err)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
			require.Less(t, len(err.Error()), 300, "the message is a whole file")
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestFunctionFillsTheBufferExactly(t *testing.T) {
	t.Parallel()
	in := []byte(header + "call,42,40,0.1,0.2,0.5\nput,42,40,0.1,0.2,0.5\n")
	want, err := price(string(in))
	require.NoError(t, err)

	backing := bytes.Repeat([]byte{0xEE}, len(want)+8)
	n, err := blackscholes.Function(context.Background(), in, backing[:len(want)])

	require.NoError(t, err)
	require.Equal(t, want, string(backing[:n]))
	require.Equal(t, bytes.Repeat([]byte{0xEE}, 8), backing[len(want):], "bytes behind the result buffer were written")
}

func TestFunctionRefusesAShortBuffer(t *testing.T) {
	t.Parallel()
	in := []byte(header + "call,42,40,0.1,0.2,0.5\n")
	want, err := price(string(in))
	require.NoError(t, err)

	for _, size := range []int{0, 1, len(want) - 1} {
		backing := bytes.Repeat([]byte{0xEE}, len(want)+8)
		n, err := blackscholes.Function(context.Background(), in, backing[:size])
		require.ErrorIs(t, err, io.ErrShortBuffer)
		require.ErrorContains(t, err, fmt.Sprintf("takes %d bytes", len(want)))
		require.ErrorContains(t, err, fmt.Sprintf("holds %d", size))
		require.Zero(t, n)
		require.Equal(t, bytes.Repeat([]byte{0xEE}, len(backing)-size), backing[size:], "bytes behind the result buffer were written")
	}
}

// expiring is a context that ends after its error was asked for so many times.
type expiring struct {
	context.Context
	asked, after int
}

func (e *expiring) Err() error {
	if e.asked++; e.asked > e.after {
		return context.DeadlineExceeded
	}
	return nil
}

func TestFunctionStopsWithItsContext(t *testing.T) {
	t.Parallel()
	in := []byte(header + strings.Repeat("call,42,40,0.1,0.2,0.5\n", 3000))
	out := make([]byte, 4*len(in))
	for _, after := range []int{0, 1, 5} {
		ctx := &expiring{Context: context.Background(), after: after}
		n, err := blackscholes.Function(ctx, in, out)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorContains(t, err, fmt.Sprintf("stopped after %d options", 256*after))
		require.Zero(t, n)
	}
}

func BenchmarkFunction(b *testing.B) {
	const options = 10_000
	in := []byte(header + strings.Repeat("call,42.25,40,0.1,0.2,0.5\n", options))
	out := make([]byte, 2*len(in))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := blackscholes.Function(context.Background(), in, out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*options/b.Elapsed().Seconds(), "options/s")
}
