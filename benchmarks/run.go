package benchmarks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/benchmarks/internal/chart"
	"github.com/rfaas-go/rfaas/transport"
)

// Run measures what the configuration asks for, one size after the other, and
// returns the results in that order. It ends early, with the results so far and
// an error, when the context ends, the peer dies or something does not work.
// Processes that it started have ended when it returns.
//
// The process should do nothing else meanwhile. RunPeerIfAsked has to stand at
// the beginning of the program's main.
func Run(ctx context.Context, c Config) ([]Result, error) {
	if c.Transport == "" {
		c.Transport = DefaultTransport
	}
	if c.PeerTransport == "" {
		c.PeerTransport = c.Transport
	}
	plan, err := plan(c)
	if err != nil {
		return nil, err
	}
	r := &runner{config: c, out: newSamples(), url: c.Transport}
	if err := r.tryOthers(); err != nil {
		return nil, err
	}
	if r.cores, err = allowedCPUs(); err != nil {
		return nil, err
	}
	stopProfile := startProfile(c.Profile, c.ProfileDir)
	err = r.all(ctx, plan)
	stopProfile()
	return r.results, err
}

// runner measures one after the other.
type runner struct {
	config  Config
	cores   []int
	out     *samples // used again for each measurement
	said    []string // notes, so as not to repeat them
	url     string   // of the device that is measured
	media   []medium // of the devices that were measured last
	results []Result
}

func (r *runner) all(ctx context.Context, plan []params) error {
	for _, p := range plan {
		if err := r.add(ctx, p); err != nil {
			return err
		}
		for _, b := range r.baselines(p) {
			if err := r.add(ctx, b); err != nil {
				return err
			}
		}
		for _, name := range lookup(p.Test).companions {
			if err := r.add(ctx, lookup(name).companion(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// baselines are the measurements of the bare media that belong to p, if they are asked for.
func (r *runner) baselines(p params) (all []params) {
	if !r.config.Baseline {
		return nil
	}
	for _, m := range r.media {
		if b, ok := baselineParams(p, m); ok && !slices.ContainsFunc(all, func(o params) bool { return o.Test == b.Test }) {
			all = append(all, b)
		}
	}
	return all
}

// add measures p, with each of the functions if there are any, and adds the
// results.
func (r *runner) add(ctx context.Context, p params) error {
	results, err := r.measure(ctx, p)
	if _, flag := errors.AsType[*FlagError](err); flag {
		return err
	}
	if err != nil {
		return fmt.Errorf("%s at %d bytes: %w", p.Test, p.SizeBytes, err)
	}
	r.results = append(r.results, results...)
	if r.config.OnResult != nil {
		for _, result := range results {
			r.config.OnResult(result)
		}
	}
	return nil
}

func (r *runner) measure(ctx context.Context, p params) ([]Result, error) {
	t := lookup(p.Test)
	if !t.bare {
		r.media = nil
	}
	switch {
	case t.functions != nil && len(r.config.Functions) > 0:
		return r.overEach(ctx, t, p)
	case len(r.config.Others) > 0 && !t.bare:
		return r.inTurns(ctx, t, p)
	}
	r.begin(p, "")
	result, o, err := r.one(ctx, t, p)
	result.sum(r.out, p.Iterations, o)
	result.remote = r.config.Connect != ""
	return []Result{result}, err
}

// begin tells what is measured now; more is empty, or says in which round.
func (r *runner) begin(p params, more string) {
	if r.config.OnBegin == nil {
		return
	}
	what := p.Test
	if !lookup(p.Test).bare {
		what += " on " + r.name()
	}
	r.config.OnBegin(what + ", " + chart.Bytes(p.SizeBytes) + more)
}

// name is that of the device that is measured, in results.
func (r *runner) name() string { return strings.TrimSuffix(r.url, ":") }

// one measures p. The samples are in r.out.
func (r *runner) one(ctx context.Context, t *test, p params) (result Result, o outcome, err error) {
	core, err := r.place(&p, t.serve != nil)
	if err != nil {
		return result, o, err
	}
	result = p.result("none")
	s := &session{test: t, params: p}
	if !t.bare {
		if s.device, err = r.open(); err != nil {
			return result, o, err
		}
		defer s.device.Close()
		result.Transport = r.name()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if t.inherit != nil {
		if s.files, err = t.inherit(p); err != nil {
			return result, o, err
		}
		defer closeFiles(s.files)
	}
	if t.serve != nil {
		if s.peer, err = r.findPeer(ctx, s); err != nil {
			return result, o, err
		}
		defer func() { s.peer.stop(err != nil) }()
		var hello message
		s.control, hello, err = s.peer.begin(ctx, s.params, cancel)
		if err != nil {
			return result, o, err
		}
		defer s.control.close()
		result.PeerPID, s.key = hello.PID, hello.Key
		if r.config.peerReady != nil {
			r.config.peerReady(hello.PID)
		}
	}
	err = onCore(core, func() (err error) { o, err = s.conduct(ctx, r.out); return err })
	return result, o, err
}

// place chooses the cores, that of the peer if there is one here.
func (r *runner) place(p *params, hasPeer bool) (measuring int, err error) {
	measuring, peer, note := choosePair(readTopology(os.DirFS("/sys"), r.cores))
	switch {
	case !hasPeer:
		note = fmt.Sprintf("measuring on core %d", measuring)
	case r.config.Connect != "":
		note = fmt.Sprintf("measuring on core %d, the peer at %s chooses its own", measuring, r.config.Connect)
	default:
		if p.PeerCPU = peer; peer == measuring && p.Mode == Hot {
			return 0, flagErrorf("--mode hot: needs two cores, one for each process, and only core %d is allowed to this process; use --mode warm or adaptive", measuring)
		}
	}
	r.note(note)
	return measuring, nil
}

// open opens the device to measure.
func (r *runner) open() (*transport.Device, error) {
	d, err := transport.Open(r.url)
	if err != nil {
		return nil, err
	}
	caps := d.Capabilities()
	if m := mediumOf(caps.Features); !slices.Contains(r.media, m) {
		r.media = append(r.media, m)
	}
	if r.config.Connect != "" && !caps.Features.Has(transport.FeatureCrossHost) {
		d.Close()
		return nil, flagErrorf("--connect: %s connects processes of one machine only; drop --connect, or choose another --transport", d.Name())
	}
	for _, n := range caps.Notes {
		r.note(r.name() + ": " + n)
	}
	return d, nil
}

// findPeer starts the peer, or takes the one on the other machine.
func (r *runner) findPeer(ctx context.Context, s *session) (*peer, error) {
	if r.config.Connect != "" {
		s.params.Transport = "" // that of the Serve there
		return &peer{network: "tcp", address: r.config.Connect}, nil
	}
	here := s.device != nil && !s.device.Capabilities().Features.Has(transport.FeatureCrossProcess)
	if here {
		r.note(r.name() + " does not leave the process: both sides run in this one")
	}
	return startPeer(ctx, s.files, here)
}

func (r *runner) note(text string) {
	if r.config.OnNote != nil && !slices.Contains(r.said, text) {
		r.said = append(r.said, text)
		r.config.OnNote(text)
	}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
