package transporttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/transport"
)

// test is one test of the suite.
type test struct {
	name  string
	needs needs
	run   func(p *pair)
}

// needs is what a test asks of the ends. What is not there skips it.
type needs struct {
	ops          transport.OpSet
	features     transport.Features
	inline       bool // inline posts
	twoProcesses bool
	exact        bool // queue limits to the request, which injected faults blur
	noRace       bool // no race detector
}

// tests lists the suite. The tests run in this order, each with devices of its
// own.
var tests = slices.Concat(
	setupTests,
	regionTests,
	payloadTests,
	queueTests,
	orderTests,
	accessTests,
	failureTests,
	atomicTests,
	passiveTests,
	sharingTests,
	closingTests,
	misuseTests,
	sleepTests,
	walkTests,
	allocationTests,
	deathTests,
	stopTests,
	leakTests,
)

// Run runs the suite as a test with a subtest for each rule. The calling
// package's TestMain must be Main. The subtests run one after the other, since
// each counts the descriptors and goroutines of the process.
func Run(t *testing.T, cfg Config) {
	cfg = cfg.withDefaults()
	t.Logf("ends %s and %s, %d process(es), %s, seed %d, effort %.2g", cfg.URL, cfg.PeerURL, cfg.Processes, cfg.Network, cfg.Seed, cfg.Effort)
	for status, instead := range cfg.Instead {
		t.Logf("%q may be reported in place of %q", instead, status)
	}
	list := tests
	if cfg.Faults == FaultsFatal {
		list = faultTests
	}
	cfg.checkNames(t, list)
	p := newPair(t, cfg)
	for _, test := range list {
		if len(cfg.Only) > 0 && !slices.ContainsFunc(cfg.Only, test.begins) {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			if reason, ok := cfg.Exclude[test.name]; ok {
				t.Skip("excluded: " + reason)
			}
			p.begin(t)
			defer p.end()
			if reason := p.unmet(test.needs); reason != "" {
				t.Skip(reason)
			}
			test.run(p)
		})
	}
}

// begins reports whether the test is one of Config.Only.
func (t test) begins(prefix string) bool { return strings.HasPrefix(t.name, prefix) }

// checkNames fails a test whose configuration names tests that there are not: it
// would run fewer than it says, or none, or others than it wants.
func (c *Config) checkNames(t *testing.T, list []test) {
	t.Helper()
	for _, prefix := range c.Only {
		if !slices.ContainsFunc(list, func(test test) bool { return test.begins(prefix) }) {
			t.Errorf("Config.Only: no test's name begins with %q", prefix)
		}
	}
	for name := range c.Exclude {
		if !slices.ContainsFunc(list, func(test test) bool { return test.name == name }) {
			t.Errorf("Config.Exclude: no test has the name %q", name)
		}
	}
}

// unmet names the first need that is not met, or "".
func (p *pair) unmet(n needs) string {
	for _, e := range p.ends() {
		for op := transport.OpSend; op <= transport.OpCompareSwap; op++ {
			if n.ops.Has(op) && !e.caps.Ops.Has(op) {
				return fmt.Sprintf("the device of end %s has no %v (Capabilities.Ops)", e.name, op)
			}
		}
		if missing := n.features &^ e.caps.Features; missing != 0 {
			return fmt.Sprintf("the device of end %s does not have %v (Capabilities.Features)", e.name, missing)
		}
		if p.cfg.Processes == 2 && !e.caps.Features.Has(transport.FeatureCrossProcess) {
			return fmt.Sprintf("the device of end %s connects within one process only (Capabilities.Features)", e.name)
		}
		if p.cfg.Network != "unix" && e.caps.Features.Has(transport.FeatureUnixSocket) {
			return fmt.Sprintf("the device of end %s needs a Unix socket for the set-up (Capabilities.Features)", e.name)
		}
		if n.inline && e.caps.MaxInlineBytes == 0 {
			return fmt.Sprintf("the device of end %s takes nothing inline (Capabilities.MaxInlineBytes)", e.name)
		}
	}
	switch {
	case n.twoProcesses && p.cfg.Processes < 2:
		return "both ends live in one process"
	case n.exact && p.cfg.Faults != FaultsNone:
		return "injected faults blur what this test counts"
	case n.noRace && effort.Race():
		return "the race detector gets in the way"
	}
	return ""
}
