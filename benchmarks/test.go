package benchmarks

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
)

// test is one test: what a file of this package puts into the table. A new test
// is one file that calls add from its init.
type test struct {
	name  string
	about string // one line

	modes    []string // it can run in; the first is its default
	modesWhy string   // why not in the others

	defaultSize      int
	minSize, maxSize int
	sizeStep         int // sizes are multiples of it; 0 means 1

	defaultDepth, maxDepth     int // 0: the test keeps one operation in flight
	defaultWorkers, maxWorkers int // 0: the test has one worker

	iterations func(size int, mode string) int // default number
	// baseline names the bare test to compare with, in this mode and over a device
	// with this medium; nil for none.
	baseline func(mode string, m medium) string
	// bandwidth: what counts is bytes a second, and there are no round trips.
	bandwidth bool
	// bare: uses no transport.
	bare bool

	// inherit makes what the two processes of a bare test share. The descriptors
	// are handed to the peer's process.
	inherit func(p params) ([]*os.File, error)
	// measure and serve make the two sides. Without serve the test has no peer.
	// They set the side up with the other one's help, under way at the same time.
	measure, serve func(ctx context.Context, s *session) (side, error)

	// functions measures Config.Functions, instead of measure and serve, if there
	// are any. A test without measure needs some.
	functions func(ctx context.Context, r *runner, t *test, p params) ([]Result, error)

	// companions are the tests whose results follow, of the same size and in the same
	// mode if they have it: what its own is compared with.
	companions []string
}

// side is one of the two ends of a test, set up and ready to run.
type side interface {
	// run does n operations; it is called for the warm-up and for the measured
	// part, at the same time on both sides, on a thread that is pinned to a core.
	// The measuring side adds each round trip to out; for the peer it is nil. run
	// allocates nothing per operation.
	run(ctx context.Context, n int, out *samples) error
	close() error
}

var table []*test

// add enters a test into the table, in init.
func add(t *test) {
	if slices.ContainsFunc(table, func(o *test) bool { return o.name == t.name }) {
		panic("benchmarks: two tests are called " + t.name)
	}
	table = append(table, t)
	slices.SortFunc(table, func(a, b *test) int { return a.rank() - b.rank() })
}

// order is that of the command's help.
var order = []string{
	"write-lat", "write-imm-lat", "send-lat", "read-lat", "atomic-lat",
	"write-bw", "read-bw", "send-bw",
	"invoke-lat", "invoke-rate", "invoke-bw", "lease-lat", "lease-used", "lease-first-call", "cold-start",
	"baseline-shm-lat", "baseline-block-lat", "baseline-memcpy-bw", "baseline-udp-lat", "baseline-udp-bw",
}

func (t *test) rank() int {
	if i := slices.Index(order, t.name); i >= 0 {
		return i
	}
	return len(order)
}

// TestInfo describes a test, for help texts.
type TestInfo struct {
	Name        string
	About       string // one line
	Modes       []string
	DefaultSize int // bytes
	// Bandwidth tests measure bytes a second; the others round trips.
	Bandwidth bool
	// TakesFunctions: it measures the functions that Config.Functions has, if any;
	// NeedsFunctions: and nothing else.
	TakesFunctions, NeedsFunctions bool
}

// Tests lists the tests there are.
func Tests() []TestInfo {
	infos := make([]TestInfo, len(table))
	for i, t := range table {
		infos[i] = TestInfo{t.name, t.about, slices.Clone(t.modes), t.defaultSize, t.bandwidth, t.takesFunctions(), t.needsFunctions()}
	}
	return infos
}

func (t *test) takesFunctions() bool {
	return t.functions != nil || t.hasCompanion((*test).takesFunctions)
}

func (t *test) needsFunctions() bool {
	return t.measure == nil || t.hasCompanion((*test).needsFunctions)
}

func (t *test) hasCompanion(that func(*test) bool) bool {
	return slices.ContainsFunc(t.companions, func(name string) bool {
		companion, err := find(name)
		return err == nil && that(companion)
	})
}

// companion is what is measured of a companion beside p.
func (t *test) companion(p params) params {
	p.Test, p.SizeBytes, p.Depth, p.Workers = t.name, clamp(p.SizeBytes, t.minSize, t.maxSize), 1, 1
	if !slices.Contains(t.modes, p.Mode) {
		p.Mode = t.modes[0]
	}
	p.Iterations = min(p.Iterations, t.iterations(p.SizeBytes, p.Mode))
	p.Warmup = warmup(p.Iterations)
	return p
}

func find(name string) (*test, error) {
	var names []string
	for _, t := range table {
		if t.name == name {
			return t, nil
		}
		names = append(names, t.name)
	}
	return nil, fmt.Errorf("unknown test %q: there are %s", name, strings.Join(names, ", "))
}

// latencyIterations is the default of latency tests: a second or two.
func latencyIterations(size int, mode string) int {
	if mode == Warm {
		return 20_000
	}
	return clamp(4<<30/max(size, 1), 1000, 1_000_000)
}

// bandwidthIterations is the default of bandwidth tests: some gigabytes, or five
// million messages.
func bandwidthIterations(size int, _ string) int {
	return clamp(8<<30/max(size, 1), 1000, 5_000_000)
}

func clamp(x, least, most int) int { return min(max(x, least), most) }
