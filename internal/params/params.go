// Package params reads and checks the parameters of providers' URLs.
package params

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rfaas-go/rfaas/internal/slowlink"
)

// Params reads the parameters of a URL, and remembers the first mistake.
type Params struct {
	query url.Values
	known []string
	err   error
}

// Of is the parameters of a URL.
func Of(u *url.URL) *Params {
	query, err := url.ParseQuery(u.RawQuery)
	return &Params{query: query, err: err}
}

func (p *Params) get(name string) (string, bool) {
	p.known = append(p.known, name)
	values, ok := p.query[name]
	if len(values) > 1 {
		p.fail(name, "given twice")
	}
	if !ok {
		return "", false
	}
	return values[0], true
}

func (p *Params) fail(name, why string) {
	if p.err == nil {
		p.err = fmt.Errorf("parameter %s: %s", name, why)
	}
}

// Boolean is true for a parameter without a value. Values are on and off, and what
// strconv.ParseBool takes.
func (p *Params) Boolean(name string, value bool) bool {
	s, ok := p.get(name)
	if !ok {
		return value
	}
	if s == "" {
		return true
	}
	switch s {
	case "on":
		return true
	case "off":
		return false
	}
	b, err := strconv.ParseBool(s)
	if err != nil {
		p.fail(name, fmt.Sprintf("%q is neither on nor off", s))
	}
	return b
}

// Choice is one of the values, the first by default.
func (p *Params) Choice(name string, values ...string) string {
	s, ok := p.get(name)
	if !ok {
		return values[0]
	}
	if !slices.Contains(values, s) {
		p.fail(name, fmt.Sprintf("%q is none of %v", s, values))
	}
	return s
}

// Integer is a number from least to most, decimal or as in Go.
func (p *Params) Integer(name string, value, least, most int) int {
	s, ok := p.get(name)
	if !ok {
		return value
	}
	n, err := strconv.ParseInt(s, 0, 64)
	if err != nil || n < int64(least) || n > int64(most) {
		p.fail(name, fmt.Sprintf("%q is no number from %d to %d", s, least, most))
	}
	return int(n)
}

// Duration is at least least and at most a minute.
func (p *Params) Duration(name string, value, least time.Duration) time.Duration {
	s, ok := p.get(name)
	if !ok {
		return value
	}
	const most = time.Minute
	d, err := time.ParseDuration(s)
	if err != nil || d < least || d > most {
		p.fail(name, fmt.Sprintf("%q is no duration from %v to %v, such as 5ms", s, least, most))
	}
	return d
}

// Probability is from 0, the default, to less than 1.
func (p *Params) Probability(name string) float64 {
	s, ok := p.get(name)
	if !ok {
		return 0
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f < 1) {
		p.fail(name, fmt.Sprintf("%q is no probability from 0 to less than 1", s))
	}
	return f
}

// Rate is of a link, 0 by default: no limit.
func (p *Params) Rate(name string) slowlink.Rate {
	s, ok := p.get(name)
	if !ok {
		return 0
	}
	r, err := slowlink.ParseRate(s)
	if err != nil {
		p.fail(name, err.Error())
	}
	return r
}

// Done returns the first mistake; a parameter that was not read is one. owner
// names the provider in that error.
func (p *Params) Done(owner string) error {
	for name := range p.query {
		if !slices.Contains(p.known, name) {
			slices.Sort(p.known)
			p.fail(name, fmt.Sprintf("%s does not know it; it has %v", owner, p.known))
		}
	}
	return p.err
}
