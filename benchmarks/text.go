package benchmarks

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
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
	fmt.Fprintln(t, "transport\tmode\tsize\titerations\tmin\tp50\tp99\tp99.9\tmax\trate\tbandwidth\tallocs/op\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t", r.Test)
		for _, c := range columns {
			fmt.Fprintf(t, "%s\t", orDash(c.of(&r)))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t", r.Transport, r.Mode, formatBytes(r.SizeBytes), r.Iterations)
		for _, ns := range []int64{r.RTT.Min, r.RTT.P50, r.RTT.P99, r.RTT.P999, r.RTT.Max} {
			if r.RTT.Max == 0 {
				fmt.Fprint(t, "-\t")
			} else {
				fmt.Fprintf(t, "%s\t", formatTime(float64(ns)))
			}
		}
		fmt.Fprintf(t, "%s\t%s\t%g\t\n", formatCount(r.OpsPerSecond), formatRate(r.BytesPerSecond), r.AllocsPerOp)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		if list := troubles(r.Counters); list != "" {
			if _, err := fmt.Fprintf(w, "%s on %s, %s, %s: %s\n", r.Test, r.Transport, r.Mode, formatBytes(r.SizeBytes), list); err != nil {
				return err
			}
		}
	}
	return writeFunctions(w, results)
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
func writeFunctions(w io.Writer, results []Result) error {
	for _, r := range results {
		var err error
		if d := r.Beside; d != nil {
			_, err = fmt.Fprintf(w, "%s, %s: %+d ns to %s (median of %d rounds; %+d to %+d)\n",
				r.name(), formatBytes(r.SizeBytes), d.P50, d.To, len(r.RoundP50), d.Min, d.Max)
		}
		if s := r.Steps; s != nil && err == nil {
			_, err = fmt.Fprintf(w, "%s, %s: executor %s, connection %s, first call %s (medians)\n",
				r.name(), formatBytes(r.SizeBytes), formatTime(float64(s.Start)), formatTime(float64(s.Connect)), formatTime(float64(s.Call)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
