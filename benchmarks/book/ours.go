package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rfaas-go/rfaas/benchmarks"
	"github.com/rfaas-go/rfaas/examples/echo"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// ours is a test of package benchmarks.
type ours struct {
	about
	machine *machine
	config  benchmarks.Config
	start   string // of several results, the one with this Start
	of      func(benchmarks.Result) figure
}

// What is measured of a result.
func roundTrips(r benchmarks.Result) figure { return ofSamples(r.Distribution()) }
func operations(r benchmarks.Result) figure { return figure{value: r.OpsPerSecond} }
func bytesMoved(r benchmarks.Result) figure { return figure{value: r.BytesPerSecond} }

func newOurs(m *machine, label string, of func(benchmarks.Result) figure, c benchmarks.Config) *ours {
	return &ours{about: about{label: label, of: own}, machine: m, config: c, of: of}
}

// newBaseline is the medium under a transport, without any code of one.
func newBaseline(m *machine, label, test string) *ours {
	o := newOurs(m, label, roundTrips, benchmarks.Config{Test: test})
	o.about.of = medium
	return o
}

// withNote adds what to know about it.
func (o *ours) withNote(text string) *ours {
	o.remarks = text
	return o
}

// softroceURL is RoCE in user space over the loopback interface, at a free port.
const softroceURL = "softroce://127.0.0.1:0"

// transports are those that connect processes, by the names in series.
var transports = []struct{ name, url string }{
	{"shm", "shm:"},
	{"softroce", softroceURL},
	{"verbs", "verbs:"},
}

func (o *ours) find(context.Context) (string, error) {
	if strings.HasPrefix(o.config.Test, "baseline-") {
		return "this commit", nil
	}
	d, err := transport.Open(o.config.Transport)
	if err != nil {
		if strings.HasPrefix(o.config.Transport, "verbs") {
			_, why, _ := strings.Cut(err.Error(), "not supported: ")
			return "", &missing{"no RDMA device that can be used: " + cmp.Or(why, err.Error())}
		}
		return "", &missing{err.Error()}
	}
	defer d.Close()
	return "this commit, " + d.Name(), nil
}

func (o *ours) command(s setting) string {
	c := o.configured(s)
	words := []string{"rfaas", "bench", c.Test}
	if !strings.HasPrefix(c.Test, "baseline-") {
		words = append(words, "--transport", c.Transport)
	}
	for _, f := range []struct {
		flag  string
		value int
	}{{"--size", c.Sizes[0]}, {"--iterations", c.Iterations}, {"--depth", c.Depth}, {"--workers", c.Workers}} {
		if f.value > 0 {
			words = append(words, f.flag, fmt.Sprint(f.value))
		}
	}
	if c.Mode != "" {
		words = append(words, "--mode", c.Mode)
	}
	return benchmarks.ShellWords(words...) + "  (package benchmarks, in this program)"
}

// configured is the test with what a setting asks for.
func (o *ours) configured(s setting) benchmarks.Config {
	c := o.config
	if len(c.Sizes) == 0 {
		c.Sizes = []int{s.size}
	}
	if c.Mode == "" {
		c.Mode = s.mode
	}
	c.Iterations, c.Depth, c.Workers, c.OnNote = s.iterations, s.depth, s.workers, o.machine.note
	return c
}

func (o *ours) measure(ctx context.Context, s setting) (figure, error) {
	results, err := benchmarks.Run(ctx, o.configured(s))
	if _, size := errors.AsType[*benchmarks.FlagError](err); size && strings.HasPrefix(o.config.Test, "baseline-") {
		return figure{}, errNotMeasured // baselines do not have all sizes
	}
	if err != nil {
		return figure{}, err
	}
	for _, r := range results {
		if r.Start == o.start {
			return o.of(r), nil
		}
	}
	return figure{}, errors.New("there is no result")
}

// echoFunction is the function that cold starts start, in an executor that is not
// isolated, as code of the program itself is.
func echoFunction() benchmarks.Function {
	return benchmarks.Function{Label: echo.Name, Order: executor.Order{Assignment: executor.Assignment{
		Runtime: runtime.Go, Functions: []executor.Function{{Name: echo.Name, Entry: echo.Name, Idempotent: echo.Idempotent}},
	}}}
}
