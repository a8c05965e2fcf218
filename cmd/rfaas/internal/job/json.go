package job

import (
	"encoding/json"
	"io"
	"time"

	"github.com/rfaas-go/rfaas/accounting"
)

// String is the name in JSON.
func (s State) String() string {
	switch s {
	case Done:
		return "done"
	case Failed:
		return "failed"
	}
	return "not_tried"
}

// outcomeJSON is an outcome for scripts.
type outcomeJSON struct {
	Input      string        `json:"input"`
	Output     string        `json:"output"`
	State      string        `json:"state"`
	Error      string        `json:"error,omitempty"`
	Attempts   int           `json:"attempts"`
	BytesIn    int64         `json:"in_bytes"`
	BytesOut   int64         `json:"out_bytes"`
	CallNS     time.Duration `json:"call_ns"`
	ExecutedNS time.Duration `json:"executed_ns"`
}

// reportJSON is a report for scripts.
type reportJSON struct {
	Function    string            `json:"function"`
	Inputs      int               `json:"inputs"`
	Done        int               `json:"done"`
	Failed      int               `json:"failed"`
	NotTried    int               `json:"not_tried"`
	Seconds     float64           `json:"seconds"`
	Interrupted bool              `json:"interrupted"`
	Error       string            `json:"error,omitempty"` // why inputs were not tried
	Notes       []string          `json:"notes,omitempty"`
	Bill        map[string]uint64 `json:"bill"` // by quantity, as in 'rfaas bill --format json'
}

// WriteJSON writes the outcome as a JSON object, on a line. Its state says whether the
// output is there.
func (o Outcome) WriteJSON(w io.Writer) error {
	return writeLine(w, outcomeJSON{
		Input: o.Input.Name, Output: o.Input.Output, State: o.State.String(), Error: o.Reason, Attempts: o.Attempts,
		BytesIn: o.BytesIn, BytesOut: o.BytesOut, CallNS: o.Call, ExecutedNS: o.Execution,
	})
}

// WriteJSON writes the outcomes of inputs that were not tried, and one JSON object for all of
// the report, a line each. The other outcomes are written when they are there, see
// Config.OnOutcome.
func (r *Report) WriteJSON(w io.Writer) error {
	all := reportJSON{
		Function: r.Function, Inputs: len(r.Outcomes), Done: r.Count(Done), Failed: r.Count(Failed), NotTried: r.Count(NotTried),
		Seconds: r.Elapsed.Seconds(), Interrupted: r.Interrupted, Notes: r.Notes, Bill: map[string]uint64{},
	}
	if r.Stopped != nil {
		all.Error = r.Stopped.Error()
	}
	for q, amount := range r.Cost {
		all.Bill[accounting.Quantity(q).String()] = amount
	}
	for i := range r.Outcomes {
		if o := &r.Outcomes[i]; o.State == NotTried {
			if err := o.WriteJSON(w); err != nil {
				return err
			}
		}
	}
	return writeLine(w, all)
}

func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
