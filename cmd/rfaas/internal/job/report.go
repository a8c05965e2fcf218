package job

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/rfaas-go/rfaas/accounting"
)

// State is what became of an input.
type State int

// The states.
const (
	NotTried State = iota // the run ended before
	Done
	Failed
)

// Outcome is what became of an input, and what it took.
type Outcome struct {
	Input             *Input
	State             State
	Reason            string // why it failed
	Attempts          int    // calls that were made, or at least begun
	BytesIn, BytesOut int64
	Call              time.Duration // of the last attempt, as the caller saw it
	Execution         time.Duration // of that, in the function
}

// WorkerReport is what one worker did.
type WorkerReport struct {
	Number   int    // from 1
	PID      int    // of its last process
	Core     int    // executor.AnyCore if it was not pinned
	Node     string // that it is on
	Calls    int    // answered
	Busy     time.Duration
	Replaced int   // how often its process was lost and another one started
	Lost     error // why there was no worker in the end
}

// Report is what came of a plan.
type Report struct {
	Function  string
	Directory string // of the results; empty for the standard output
	Outcomes  []Outcome
	Workers   []WorkerReport
	Cost      accounting.Usage // of the leases
	Claimed   bool             // its counts are what the function's code says
	Elapsed   time.Duration    // from the start to the last outcome
	// Stopped is why inputs were not tried, if it was not the caller's wish.
	Stopped error
	// Interrupted is the caller's: the run was ended early by its wish.
	Interrupted bool
	// Notes are remarks on the conditions, a sentence each.
	Notes []string
}

// Count is the number of inputs in a state.
func (r *Report) Count(s State) (n int) {
	for i := range r.Outcomes {
		if r.Outcomes[i].State == s {
			n++
		}
	}
	return n
}

// Complete tells whether every input succeeded.
func (r *Report) Complete() bool { return r.Count(Done) == len(r.Outcomes) }

// Range of the histograms in nanoseconds, and their precision: 3 digits.
const (
	shortestNS = 1
	longestNS  = int64(24 * time.Hour)
	digits     = 3
)

// latencies are the durations of the calls that succeeded.
func (r *Report) latencies() (call, execution *hdrhistogram.Histogram) {
	call = hdrhistogram.New(shortestNS, longestNS, digits)
	execution = hdrhistogram.New(shortestNS, longestNS, digits)
	for i := range r.Outcomes {
		if o := &r.Outcomes[i]; o.State == Done {
			call.RecordValue(min(int64(o.Call), longestNS))
			execution.RecordValue(min(int64(o.Execution), longestNS))
		}
	}
	return call, execution
}

// bytes adds up what was moved for inputs that succeeded.
func (r *Report) bytes() (in, out int64) {
	for i := range r.Outcomes {
		if o := &r.Outcomes[i]; o.State == Done {
			in += o.BytesIn
			out += o.BytesOut
		}
	}
	return in, out
}

// repeated counts the inputs that took several attempts, and the processes that
// were lost.
func (r *Report) repeated() (inputs, processes int) {
	for i := range r.Outcomes {
		if r.Outcomes[i].Attempts > 1 {
			inputs++
		}
	}
	for i := range r.Workers {
		processes += r.Workers[i].Replaced
	}
	return inputs, processes
}
