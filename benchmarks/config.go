package benchmarks

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/transport"
)

// Config says what to measure. Everything has a default but Test, and Functions in tests of leases
// and cold starts. The names in errors are those of the flags of rfaas bench.
type Config struct {
	Test string // of Tests

	// Transport is the URL of the device to measure; default "shm:". Its provider
	// has to be built in. PeerTransport is the peer's, if it needs another one, on
	// the same wire protocol.
	Transport, PeerTransport string
	// Others are the URLs of devices that are measured beside Transport: each has a part of
	// the iterations in every round, and the rounds are taken in turns, so that what the
	// machine does meanwhile happens to all. Each has a result of its own, with its Ratio.
	Others []string

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

	// OnResult, if set, gets each result as soon as it is there.
	OnResult func(Result)
	// OnBegin, if set, is told what is measured next.
	OnBegin func(what string)
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
	// What shall be written can be, before anything is measured.
	if err := checkProfile(c.Profile, c.ProfileDir); err != nil {
		return nil, err
	}
	if err := t.checkFunctions(c); err != nil {
		return nil, err
	}
	for i, url := range c.Others {
		if url == c.Transport || slices.Contains(c.Others[:i], url) {
			return nil, flagErrorf("--transport: %s is given twice", url)
		}
	}
	if len(c.Others) > 0 && (c.Connect != "" || c.PeerTransport != c.Transport) {
		return nil, flagErrorf("--transport: several are compared on this machine, with the same one at both ends; give one with --connect and --peer-transport")
	}
	if c.Connect != "" && t.bare {
		return nil, flagErrorf("--connect: %s measures this machine and has no peer on another one", t.name)
	}
	if c.Connect != "" && c.Baseline {
		return nil, flagErrorf("--baseline: measures this machine, not the network of --connect")
	}
	sizes := c.Sizes
	if len(sizes) == 0 {
		sizes = []int{t.sizes.normal}
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
		p.Depth = max(t.depth.normal, 1)
	}
	if p.Workers == 0 {
		p.Workers = max(t.workers.normal, 1)
	}
	return p, t.check(p)
}

// warmup is how many operations come before those that are measured.
func warmup(iterations int) int { return clamp(iterations/10, 1, 10_000) }

// check refuses values out of range. Both sides check: a peer trusts nobody.
func (t *test) check(p params) error {
	if p.SizeBytes < t.sizes.least || p.SizeBytes > t.sizes.most || p.SizeBytes%t.sizes.step != 0 {
		return flagErrorf("--size %d: %s takes %v bytes", p.SizeBytes, t.name, t.sizes)
	}
	for _, f := range []struct {
		name        string
		value, most int
		instead     string
	}{
		{"iterations", p.Iterations, maxIterations, ""},
		{"depth", p.Depth, t.depth.most, "keeps one operation in flight"},
		{"workers", p.Workers, t.workers.most, "has one worker"},
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

func (s sizes) String() string {
	switch {
	case s.least == s.most:
		return fmt.Sprint(s.least)
	case s.step > 1:
		return fmt.Sprintf("multiples of %d from %d to %d", s.step, s.least, s.most)
	}
	return fmt.Sprintf("%d to %d", s.least, s.most)
}

// FlagError is about the value of a flag of rfaas bench, or of the field of
// Config or ServeConfig that belongs to it. Its text begins with the flag.
type FlagError struct{ error }

// Unwrap returns the cause, if there is another one than the value.
func (e *FlagError) Unwrap() error { return e.error }

func flagErrorf(format string, args ...any) error { return &FlagError{fmt.Errorf(format, args...)} }

// oneOf is the error of a flag whose value is not among those allowed.
func oneOf(flag, value string, allowed []string) error {
	return flagErrorf("--%s %q: must be one of %s", flag, value, strings.Join(allowed, ", "))
}

// The modes of waiting.
const (
	Hot      = "hot"      // polls
	Warm     = "warm"     // sleeps at once
	Adaptive = "adaptive" // polls for AdaptiveSpin, then sleeps
)

// AdaptiveSpin is how long the mode adaptive polls before it sleeps.
const AdaptiveSpin = 50 * time.Microsecond

var allModes = []string{Hot, Warm, Adaptive}

// spinOf is how long transport.Queue.Wait polls in a mode.
func spinOf(mode string) time.Duration {
	switch mode {
	case Warm:
		return transport.Warm
	case Adaptive:
		return AdaptiveSpin
	}
	return transport.Hot
}

// invokeMode is a mode as package invoke has it.
func invokeMode(mode string) invoke.Mode {
	switch mode {
	case Warm:
		return invoke.Warm
	case Adaptive:
		return invoke.Adaptive(AdaptiveSpin)
	}
	return invoke.Hot
}

// modeFor is the mode that a test runs in when asked for one, "" being its own
// default.
func (t *test) modeFor(asked string) (string, error) {
	switch {
	case asked == "":
		return t.modes[0], nil
	case !slices.Contains(allModes, asked):
		return "", oneOf("mode", asked, allModes)
	case !slices.Contains(t.modes, asked):
		return "", flagErrorf("--mode %s: %s runs in mode %s only (%s)", asked, t.name, strings.Join(t.modes, ", "), t.modesWhy)
	}
	return asked, nil
}
