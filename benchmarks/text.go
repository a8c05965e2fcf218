package benchmarks

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// WriteTable writes the results as a table for people. Latencies are round
// trips. Below it is a line for each result with counters that tell of trouble.
func WriteTable(w io.Writer, results ...Result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "test\ttransport\tmode\tsize\titerations\tmin\tp50\tp99\tp99.9\tmax\trate\tbandwidth\tallocs/op\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t", r.Test, r.Transport, r.Mode, formatBytes(r.SizeBytes), r.Iterations)
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
	return nil
}
