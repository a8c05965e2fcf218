package confine

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Outcome is the result of a measure. Detail says how it was applied, or why not and what
// would help.
type Outcome struct {
	Measure Measure
	Applied bool
	Detail  string
}

// Report has the outcome of each measure, in the order in which they are tried.
type Report struct{ Outcomes []Outcome }

// Applied reports whether a measure is applied.
func (r Report) Applied(m Measure) bool { return r.find(m).Applied }

// Detail says how a measure was applied, or why not.
func (r Report) Detail(m Measure) string { return r.find(m).Detail }

func (r Report) find(m Measure) Outcome {
	for _, o := range r.Outcomes {
		if o.Measure == m {
			return o
		}
	}
	return Outcome{Measure: m, Detail: "not in this report"}
}

// String returns the report in one line.
func (r Report) String() string {
	var in, out []string
	for _, o := range r.Outcomes {
		text := string(o.Measure)
		if o.Detail != "" {
			text += " (" + o.Detail + ")"
		}
		if o.Applied {
			in = append(in, text)
		} else {
			out = append(out, text)
		}
	}
	none := func(list []string) string {
		if len(list) == 0 {
			return "nothing"
		}
		return strings.Join(list, ", ")
	}
	return "applied: " + none(in) + "; not applied: " + none(out)
}

// LogValue makes the report a group of attributes, one for each measure.
func (r Report) LogValue() slog.Value {
	attrs := make([]slog.Attr, 0, len(r.Outcomes))
	for _, o := range r.Outcomes {
		text := "applied"
		if !o.Applied {
			text = "not applied"
		}
		if o.Detail != "" {
			text += ": " + o.Detail
		}
		attrs = append(attrs, slog.String(string(o.Measure), text))
	}
	return slog.GroupValue(attrs...)
}

// errNotWanted is the reason for measures that a policy excludes or has no value for.
var errNotWanted = errors.New("the policy excludes it")

// note enters the outcome of a measure.
func (r *Report) note(m Measure, detail string, err error) {
	o := Outcome{Measure: m, Applied: err == nil, Detail: detail}
	if err != nil {
		o.Detail = err.Error()
	}
	for i := range r.Outcomes {
		if r.Outcomes[i].Measure == m {
			r.Outcomes[i] = o
			return
		}
	}
	r.Outcomes = append(r.Outcomes, o)
}

// apply tries a measure unless the policy excludes it.
func (r *Report) apply(p *Policy, m Measure, try func() (string, error)) {
	if p.skips(m) {
		r.note(m, "", errNotWanted)
		return
	}
	detail, err := try()
	r.note(m, detail, err)
}

// missing is an error about measures that the policy requires and that were not applied.
func (r Report) missing(p *Policy, among []Measure) error {
	var errs []error
	for _, m := range among {
		if o := r.find(m); p.requires(m) && !o.Applied {
			errs = append(errs, fmt.Errorf("%w: %s is required: %s", ErrNotConfined, m, o.Detail))
		}
	}
	err := errors.Join(errs...)
	if err != nil && p.Otherwise != "" {
		err = fmt.Errorf("%w; %s", err, p.Otherwise)
	}
	return err
}

// ErrNotConfined is wrapped by errors about required measures that could not be
// applied.
var ErrNotConfined = errors.New("confine: not confined")

// Usage is what a process's control groups have counted.
type Usage struct {
	OOMKills     int64 // processes killed because the group's memory was used up
	PeakBytes    int64 // of memory; 0 if the kernel does not count it
	TasksRefused int64 // threads and processes beyond the limit
}
