package benchmarks

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/rfaas-go/rfaas/benchmarks/internal/chart"
)

// WriteTable writes results as a table for people, and below it what has no place
// there: counters that mean trouble, and more about functions.
func WriteTable(w io.Writer, results ...Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := functionColumns(results)
	fmt.Fprint(t, "test\t")
	for _, c := range columns {
		fmt.Fprintf(t, "%s\t", c.name)
	}
	fmt.Fprintln(t, "transport\tmode\tsize\titerations\tmin\tp50\tmean\tp99\tp99.9\tmax\trate\tbandwidth\tallocs/op\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t", r.Test)
		for _, c := range columns {
			fmt.Fprintf(t, "%s\t", orDash(c.of(&r)))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t", r.Transport, r.Mode, chart.Bytes(r.SizeBytes), r.Iterations)
		for _, ns := range []float64{float64(r.RTT.Min), float64(r.RTT.P50), r.RTT.Mean, float64(r.RTT.P99), float64(r.RTT.P999), float64(r.RTT.Max)} {
			if r.RTT.Max == 0 {
				fmt.Fprint(t, "-\t")
			} else {
				fmt.Fprintf(t, "%s\t", formatTime(ns))
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%g\t\n", formatCount(r.OpsPerSecond), formatRate(r.BytesPerSecond), math.Round(10*r.AllocsPerOp)/10)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var below strings.Builder
	for _, r := range results {
		if list := troubles(r.Counters); list != "" {
			fmt.Fprintf(&below, "%s on %s, %s, %s: %s\n", r.Test, r.Transport, r.Mode, chart.Bytes(r.SizeBytes), list)
			if r.stalled() {
				fmt.Fprintln(&below, "  No packet was lost: an end was without its processor for longer than the timeout, and the other one sent again.")
			}
		}
	}
	writeTransports(&below, results)
	writeRatios(&below, results)
	writeFunctions(&below, results)
	_, err := io.WriteString(w, below.String())
	return err
}

// column is a column of the table that only some results have.
type column struct {
	name string
	of   func(*Result) string
}

// functionColumns are those that are needed.
func functionColumns(results []Result) []column {
	all := []column{
		{"function", func(r *Result) string { return r.Function }},
		{"runtime", func(r *Result) string { return r.Runtime }},
		{"start", func(r *Result) string { return r.Start }},
		{"cache", func(r *Result) string { return r.Cache }},
	}
	return slices.DeleteFunc(all, func(c column) bool {
		return !slices.ContainsFunc(results, func(r Result) bool { return c.of(&r) != "" })
	})
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeFunctions writes what functions add to the first one's calls, and of what
// the times to their first results consist.
func writeFunctions(b *strings.Builder, results []Result) {
	for _, r := range results {
		if d := r.Beside; d != nil {
			fmt.Fprintf(b, "%s, %s: %+d ns to %s (median of %d rounds; %+d to %+d)\n",
				r.name(), chart.Bytes(r.SizeBytes), d.P50, d.To, len(r.RoundP50), d.Min, d.Max)
		}
		if r.Steps != nil {
			fmt.Fprintf(b, "%s, %s: %s (medians)\n", r.name(), chart.Bytes(r.SizeBytes), r.Steps.text())
		}
	}
}

// text lists the parts that there are.
func (s *Steps) text() string {
	var parts []string
	for _, part := range []struct {
		name string
		ns   int64
	}{{"lease", s.Lease}, {"executor", s.Start}, {"connection", s.Connect}, {"first call", s.Call}, {"release and fence", s.Fence}} {
		if part.ns > 0 {
			parts = append(parts, part.name+" "+formatTime(float64(part.ns)))
		}
	}
	return strings.Join(parts, ", ")
}

// writeTransports writes how results compare with those over the first transport.
func writeTransports(b *strings.Builder, results []Result) {
	for _, r := range results {
		if q := r.Ratio; q != nil {
			what, rounds := "p50", len(r.RoundP50)
			if rounds == 0 {
				what, rounds = "bandwidth", len(r.RoundRates)
			}
			fmt.Fprintf(b, "%s, %s: %s over %s is %s x that over %s (median of %d rounds; %s to %s)\n", r.Test, chart.Bytes(r.SizeBytes), what, r.Transport,
				chart.Digits(q.P50), q.To, rounds, chart.Digits(q.Min), chart.Digits(q.Max))
		}
	}
}

// writeRatios writes how long leases take beside messages, of the same size.
func writeRatios(b *strings.Builder, results []Result) {
	for _, l := range results {
		i := slices.IndexFunc(results, func(s Result) bool {
			return l.Test == leaseLat && s.Test == sendLat && s.Transport == l.Transport && s.Mode == l.Mode && s.SizeBytes == l.SizeBytes
		})
		if i >= 0 && results[i].RTT.P50 > 0 {
			fmt.Fprintf(b, "%s on %s, %s: grant and release take %.2f x %s (p50)\n", l.Test, l.Transport, l.Mode, float64(l.RTT.P50)/float64(results[i].RTT.P50), sendLat)
		}
	}
}

// formatTime writes nanoseconds: 180 ns, 1.5 us, 20 ms.
func formatTime(ns float64) string { return chart.Decimal(ns, chart.Nanoseconds) }

// formatRate writes bytes a second: 33.1 GB/s.
func formatRate(v float64) string { return chart.Decimal(v, chart.BytesPerSecond) }

// formatCount writes a rate of operations: 4.2 M/s.
func formatCount(v float64) string { return chart.Decimal(v, chart.PerSecond) }
