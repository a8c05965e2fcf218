package benchmarks

import (
	"fmt"
	"math"
)

// Config says what to measure. Everything but Test has a default. The names in
// errors are those of the flags of rfaas bench.
type Config struct {
	Test string // of Tests

	// Transport is the URL of the device to measure; default "shm:". Its provider
	// has to be built in. PeerTransport is the peer's, if it needs another one, on
	// the same wire protocol.
	Transport, PeerTransport string

	Sizes      []int  // bytes of a message; default the test's own
	Iterations int    // measured operations of each size; default by test and size
	Mode       string // Hot, Warm or Adaptive; default the test's own
	Depth      int    // operations in flight; for tests that have several
	Workers    int    // for tests that have several

	// Baseline measures the bare medium after each size, in the same run: its
	// results follow.
	Baseline bool

	// Functions are measured instead of the test's own, in tests that take any: each
	// in an executor, a process of its own. Round trips are compared with those of
	// the first one.
	Functions []Function

	// Connect is the TCP address (host:port) of a Serve on another machine, which
	// is then the peer. Default: a process on this machine.
	Connect string

	// Profile is "cpu", "mem" or "trace": a profile of the measuring process is
	// left in ProfileDir (default the current directory) as cpu.pprof, mem.pprof
	// or trace.out.
	Profile, ProfileDir string
	// Plot is the file for a plot of the results; its extension, .svg or .png,
	// says of what kind.
	Plot string

	// OnResult, if set, gets each result as soon as it is there.
	OnResult func(Result)
	// OnNote, if set, gets remarks on the conditions of the measurement, a
	// sentence each: the cores chosen, what the device chose.
	OnNote func(string)

	peerReady func(pid int) // for tests: the peer is about to be measured
}

// DefaultTransport is measured when Config names none.
const DefaultTransport = "shm:"

// Limits of what can be asked for.
const (
	maxIterations = math.MaxInt32
	maxSize       = 1 << 30
)

// params describes one measurement to both sides.
type params struct {
	Test       string `json:"test"`
	Transport  string `json:"transport"` // the peer's; "" for its own choice
	SizeBytes  int    `json:"size_bytes"`
	Iterations int    `json:"iterations"`
	Warmup     int    `json:"warmup"`
	Mode       string `json:"mode"`
	Depth      int    `json:"depth"`
	Workers    int    `json:"workers"`
	PeerCPU    int    `json:"peer_cpu"` // anyCPU: the peer chooses
}

// plan checks a configuration and lists the measurements that it asks for,
// without baselines: which these are depends on the device.
func plan(c Config) ([]params, error) {
	t, err := find(c.Test)
	if err != nil {
		return nil, err
	}
	if err := checkOutputs(c); err != nil {
		return nil, err
	}
	if err := t.checkFunctions(c); err != nil {
		return nil, err
	}
	if c.Connect != "" && t.bare {
		return nil, flagErrorf("--connect: %s measures this machine and has no peer on another one", t.name)
	}
	if c.Connect != "" && c.Baseline {
		return nil, flagErrorf("--baseline: measures this machine, not the network of --connect")
	}
	sizes := c.Sizes
	if len(sizes) == 0 {
		sizes = []int{t.defaultSize}
	}
	var all []params
	for _, size := range sizes {
		p, err := t.params(c, size)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// params checks what is asked of a test at one size, and fills the defaults in.
func (t *test) params(c Config, size int) (params, error) {
	p := params{
		Test: t.name, Transport: c.PeerTransport, SizeBytes: size,
		Iterations: c.Iterations, Depth: c.Depth, Workers: c.Workers, PeerCPU: anyCPU,
	}
	var err error
	if p.Mode, err = t.modeFor(c.Mode); err != nil {
		return p, err
	}
	if p.Iterations == 0 {
		p.Iterations = t.iterations(size, p.Mode)
	}
	p.Warmup = warmup(p.Iterations)
	if p.Depth == 0 {
		p.Depth = max(t.defaultDepth, 1)
	}
	if p.Workers == 0 {
		p.Workers = max(t.defaultWorkers, 1)
	}
	return p, t.check(p)
}

// warmup is how many operations come before those that are measured.
func warmup(iterations int) int { return clamp(iterations/10, 1, 10_000) }

// check refuses values out of range. Both sides check: a peer trusts nobody.
func (t *test) check(p params) error {
	step := max(t.sizeStep, 1)
	if p.SizeBytes < t.minSize || p.SizeBytes > t.maxSize || p.SizeBytes%step != 0 {
		return flagErrorf("--size %d: %s takes %s bytes", p.SizeBytes, t.name, t.sizeRange())
	}
	for _, f := range []struct {
		name        string
		value, most int
		instead     string
	}{
		{"iterations", p.Iterations, maxIterations, ""},
		{"depth", p.Depth, t.maxDepth, "keeps one operation in flight"},
		{"workers", p.Workers, t.maxWorkers, "has one worker"},
	} {
		most := max(f.most, 1)
		if f.value < 1 || f.value > most {
			if most == 1 {
				return flagErrorf("--%s %d: %s %s", f.name, f.value, t.name, f.instead)
			}
			return flagErrorf("--%s %d: must be 1 to %d", f.name, f.value, most)
		}
	}
	if p.Warmup < 0 || p.Warmup > maxIterations {
		return fmt.Errorf("warm-up of %d operations: must be 0 to %d", p.Warmup, maxIterations)
	}
	_, err := t.modeFor(p.Mode)
	return err
}

func (t *test) sizeRange() string {
	if t.minSize == t.maxSize {
		return fmt.Sprint(t.minSize)
	}
	s := fmt.Sprintf("%d to %d", t.minSize, t.maxSize)
	if t.sizeStep > 1 {
		s = fmt.Sprintf("multiples of %d from %s", t.sizeStep, s)
	}
	return s
}

// checkOutputs checks, before anything is measured, that what shall be written
// can be.
func checkOutputs(c Config) error {
	if err := checkProfile(c.Profile, c.ProfileDir); err != nil {
		return err
	}
	return checkPlot(c.Plot)
}
