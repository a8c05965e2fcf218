package benchmarks

import (
	"encoding/json"
	"io"
	"math"
	"slices"
)

// Result is the outcome of one test at one size. Its JSON is part of the
// command-line contract of rfaas bench.
type Result struct {
	Test       string     `json:"test"`
	Transport  string     `json:"transport"` // its URL, without a colon at the end; "none" for baselines
	Mode       string     `json:"mode"`
	SizeBytes  int        `json:"size_bytes"` // of one message
	Iterations int        `json:"iterations"`
	RTT        RoundTrips `json:"rtt_ns,omitzero"` // of tests that measure any
	// OpsPerSecond counts round trips (-lat) or messages.
	OpsPerSecond   float64 `json:"ops_per_s"`
	BytesPerSecond float64 `json:"bytes_per_s"` // payload in one direction
	AllocsPerOp    float64 `json:"allocs_per_op"`
	// PeerPID is the process id of the peer on its machine; 0 when the test has no
	// peer. It is this process's own for transports that do not leave a process.
	PeerPID int `json:"peer_pid"`
	// Counters is what the provider counted at the measuring side during the
	// measured phase, by its names; nil if it counts nothing.
	Counters map[string]uint64 `json:"counters,omitempty"`

	// Function is the Label of one of Config.Functions, which this is about, and
	// Runtime its kind; empty for a test's own function. AllocsPerOp is then without
	// the executor's.
	Function string `json:"function,omitempty"`
	Runtime  string `json:"runtime,omitempty"`
	// RoundP50 are the medians of the rounds in which functions or transports took turns, in
	// nanoseconds; RoundRates their bytes a second, of tests of bandwidth.
	RoundP50   []int64   `json:"round_p50_ns,omitempty"`
	RoundRates []float64 `json:"round_bytes_per_s,omitempty"`
	// Beside is what the rounds are beside those of the first function, and Ratio beside those
	// of the first transport.
	Beside *Difference `json:"beside_ns,omitempty"`
	Ratio  *Ratio      `json:"ratio,omitempty"`
	// Of first results and used leases: how the executor was started (StartCold, StartSpare), what
	// was in the cache of compiled code (CacheFilled, CacheEmpty; empty for what
	// needs none), and the parts of the time.
	Start string `json:"start,omitempty"`
	Cache string `json:"cache,omitempty"`
	Steps *Steps `json:"steps_ns,omitempty"`

	distribution []Bar
	remote       bool // the peer was on another machine
}

// Difference is by how much longer round trips take than those of another
// function, in nanoseconds: P50 is the median over the rounds of the differences
// between the two medians in each.
type Difference struct {
	To  string `json:"to"` // its Label
	Min int64  `json:"min"`
	P50 int64  `json:"p50"`
	Max int64  `json:"max"`
}

// Ratio is how many times as long round trips take as those over another transport, or as much
// as it moves in a second: P50 is the median over the rounds of the quotients of the two medians,
// or rates, in each.
type Ratio struct {
	To  string  `json:"to"` // its Transport
	Min float64 `json:"min"`
	P50 float64 `json:"p50"`
	Max float64 `json:"max"`
}

// Steps are the parts of the time to a first result, and of a lease that is used, the
// median of each, in nanoseconds. With a lease the executor starts when it is connected
// to: Start is 0, and Connect has that, too.
type Steps struct {
	Lease   int64 `json:"lease,omitempty"` // until it is granted
	Start   int64 `json:"start,omitempty"` // until the executor has loaded the code and listens
	Connect int64 `json:"connect"`         // and look the function up
	Call    int64 `json:"call"`
	Fence   int64 `json:"fence,omitempty"` // from the call's result until the lease's cores are free
}

// name is the result's subject.
func (r *Result) name() string {
	name := r.Test
	for _, part := range []string{r.Function, r.Start} {
		if part != "" {
			name += " " + part
		}
	}
	if r.Cache != "" {
		name += ", cache " + r.Cache
	}
	return name
}

// RoundTrips sums up the samples of a latency test, in nanoseconds. All are 0
// when a test measures none, and are not in its JSON.
type RoundTrips struct {
	Min int64 `json:"min"`
	P50 int64 `json:"p50"`
	// Mean is of all, the longest ones included. It moves by less than the clock's steps, of
	// which a median of 100 ns may have few.
	Mean  float64 `json:"mean"`
	P99   int64   `json:"p99"`
	P999  int64   `json:"p999"`
	P9999 int64   `json:"p9999"`
	Max   int64   `json:"max"`
}

// Distribution is every sample of a latency test, in ascending order; empty for
// other tests. Not to be modified.
func (r *Result) Distribution() []Bar { return r.distribution }

// WriteJSON writes the results as JSON, one object a line.
func WriteJSON(w io.Writer, results ...Result) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range results {
		if err := e.Encode(&results[i]); err != nil {
			return err
		}
	}
	return nil
}

// result is the beginning of a result of p.
func (p *params) result(transport string) Result {
	return Result{Test: p.Test, Transport: transport, Mode: p.Mode, SizeBytes: p.SizeBytes, Iterations: p.Iterations}
}

// sum fills in what n operations come to.
func (r *Result) sum(out *samples, n int, o outcome) {
	r.RTT, r.distribution = out.roundTrips(), out.bars()
	r.OpsPerSecond, r.BytesPerSecond = rate(float64(n), o.ns), rate(float64(n)*float64(r.SizeBytes), o.ns)
	r.AllocsPerOp = thousandths(float64(o.allocations) / float64(n))
	r.Counters = o.counters
}

// rate is n per second over a duration in nanoseconds, rounded to 0.001.
func rate(n float64, ns int64) float64 { return thousandths(n * 1e9 / float64(max(ns, 1))) }

func thousandths(x float64) float64 { return math.Round(x*1000) / 1000 }

// median is the middle of values, or between the two in the middle.
func median[T int64 | float64](values []T) T {
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}
