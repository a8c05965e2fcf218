package job

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rfaas-go/rfaas/accounting"
	"github.com/rfaas-go/rfaas/internal/visible"
)

// WriteSummary writes the report for people to read. It ends with what needs
// their attention: the inputs that failed, and why, a line each.
func (r *Report) WriteSummary(w io.Writer) error {
	var b strings.Builder
	r.writeHead(&b)
	if r.Count(Done) > 0 {
		r.writeRates(&b)
	}
	if len(r.Workers) > 0 {
		r.writeWorkers(&b)
	}
	r.writeCost(&b)
	r.writeRemarks(&b)
	r.writeFailures(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteFailures writes what of the summary needs attention.
func (r *Report) WriteFailures(w io.Writer) error {
	var b strings.Builder
	r.writeHead(&b)
	r.writeFailures(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) writeHead(b *strings.Builder) {
	fmt.Fprintf(b, "%s: %d of %s done", r.Function, r.Count(Done), plural(len(r.Outcomes), "input"))
	if n := r.Count(Failed); n > 0 {
		fmt.Fprintf(b, ", %d failed", n)
	}
	if n := r.Count(NotTried); n > 0 {
		fmt.Fprintf(b, ", %d not tried", n)
	}
	fmt.Fprintf(b, ", in %s", shortDuration(r.Elapsed))
	if r.Directory != "" && r.Count(Done) > 0 {
		fmt.Fprintf(b, "; results in %s", r.Directory)
	}
	b.WriteByte('\n')
}

func (r *Report) writeRates(b *strings.Builder) {
	seconds := max(r.Elapsed, time.Microsecond).Seconds()
	in, out := r.bytes()
	fmt.Fprintf(b, "  throughput  %s inputs/s, in %s, out %s\n", significant(float64(r.Count(Done))/seconds), rate(float64(in)/seconds), rate(float64(out)/seconds))
	call, execution := r.latencies()
	fmt.Fprintf(b, "  call        %s\n", percentiles(call))
	fmt.Fprintf(b, "  function    %s\n", percentiles(execution))
}

func percentiles(h *hdrhistogram.Histogram) string {
	at := func(p float64) string { return shortDuration(time.Duration(h.ValueAtPercentile(p))) }
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, max %s", at(50), at(90), at(99), at(100))
}

func (r *Report) writeWorkers(b *strings.Builder) {
	if slices.ContainsFunc(r.Workers, func(w WorkerReport) bool { return w.PID == 0 && w.Node != "" }) {
		r.writeRemoteWorkers(b)
		return
	}
	b.WriteString("  worker  process  core  calls  busy  replaced\n")
	for i := range r.Workers {
		w := &r.Workers[i]
		pid := "-"
		if w.PID != 0 {
			pid = fmt.Sprint(w.PID)
		}
		busy := 100 * w.Busy.Seconds() / max(r.Elapsed, time.Microsecond).Seconds()
		fmt.Fprintf(b, "  %6d  %7s  %4s  %5d  %3.0f%%  %8d\n", w.Number, pid, coreName(w.Core), w.Calls, busy, w.Replaced)
	}
}

// writeRemoteWorkers tells of workers whose processes are their nodes' business.
func (r *Report) writeRemoteWorkers(b *strings.Builder) {
	width := len("node")
	for i := range r.Workers {
		width = max(width, len(r.Workers[i].Node))
	}
	fmt.Fprintf(b, "  worker  %-*s  calls  busy  replaced\n", width, "node")
	for i := range r.Workers {
		w := &r.Workers[i]
		busy := 100 * w.Busy.Seconds() / max(r.Elapsed, time.Microsecond).Seconds()
		fmt.Fprintf(b, "  %6d  %-*s  %5d  %3.0f%%  %8d\n", w.Number, width, w.Node, w.Calls, busy, w.Replaced)
	}
}

// writeCost tells what the leases have cost.
func (r *Report) writeCost(b *strings.Builder) {
	u := &r.Cost
	if u[accounting.CoreTime] == 0 {
		return
	}
	claimed := ""
	if r.Claimed {
		claimed = " (counted by the function's own code)"
	}
	const mibMSPerGiBS = 1024 * 1000
	fmt.Fprintf(b, "  bill        %s core-s, %s GiB-s; %s%s, %s in functions, %s polled\n",
		significant(float64(u[accounting.CoreTime])/1e9), significant(float64(u[accounting.MemoryTime])/mibMSPerGiBS), plural(int(min(u[accounting.Invocations], math.MaxInt)), "call"), claimed,
		metered(u[accounting.ExecutedTime]), metered(u[accounting.PolledTime]))
}

func (r *Report) writeRemarks(b *strings.Builder) {
	if inputs, processes := r.repeated(); processes > 0 || inputs > 0 {
		fmt.Fprintf(b, "  lost and replaced: %s; tried again: %s\n", plural(processes, "worker process"), plural(inputs, "input"))
	}
	for _, note := range r.Notes {
		fmt.Fprintf(b, "  note: %s\n", note)
	}
}

func (r *Report) writeFailures(b *strings.Builder) {
	if r.Count(Failed) > 0 {
		b.WriteString("failed:\n")
	}
	firstNotTried := ""
	for i := range r.Outcomes {
		switch o := &r.Outcomes[i]; {
		case o.State == Failed:
			fmt.Fprintf(b, "  %s: %s\n", visible.Text(o.Input.Name), visible.Text(o.Reason))
		case o.State == NotTried && firstNotTried == "":
			firstNotTried = visible.Text(o.Input.Name)
		}
	}
	if n := r.Count(NotTried); n > 0 {
		fmt.Fprintf(b, "not tried: %s, from %s on", plural(n, "input"), firstNotTried)
		switch {
		case r.Stopped != nil:
			fmt.Fprintf(b, ": %v", r.Stopped)
		case r.Interrupted:
			b.WriteString(": interrupted")
		}
		b.WriteByte('\n')
	}
}

func plural(n int, noun string) string {
	switch {
	case n == 1:
		return "1 " + noun
	case strings.HasSuffix(noun, "s"):
		return fmt.Sprintf("%d %ses", n, noun)
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// metered writes a time that was metered, which native code may claim to be any.
func metered(ns uint64) string { return shortDuration(time.Duration(min(ns, math.MaxInt64))) }

// rate writes bytes per second.
func rate(perSecond float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if perSecond >= unit.size {
			return significant(perSecond/unit.size) + " " + unit.name + "/s"
		}
	}
	return significant(perSecond) + " B/s"
}

// significant writes a number with three digits that matter, or fewer if it is small. It has
// no exponent.
func significant(x float64) string {
	switch {
	case x >= 99.95 || x == 0:
		return fmt.Sprintf("%.0f", x)
	case x >= 9.995:
		return fmt.Sprintf("%.1f", x)
	case x >= 0.01:
		return fmt.Sprintf("%.2f", x)
	}
	return strconv.FormatFloat(x, 'f', 1-int(math.Floor(math.Log10(x))), 64)
}

// shortDuration writes a duration with three digits that matter.
func shortDuration(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "us"}, {time.Nanosecond, "ns"}}
	if d >= 10*time.Minute {
		return d.Round(time.Second).String()
	}
	for _, u := range units {
		if d >= u.size {
			return significant(float64(d)/float64(u.size)) + " " + u.name
		}
	}
	return "0 s"
}
