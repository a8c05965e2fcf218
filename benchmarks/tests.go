package benchmarks

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/transport"
)

// test is one test: an operation in a pattern.
type test struct {
	name  string
	about string // one line
	op    transport.Op
	pattern

	sizes    sizes
	modes    []string // it can run in; the first is its default
	modesWhy string   // why not in the others

	// companions are the tests whose results follow, of the same size and in the same
	// mode if they have it: what its own is compared with.
	companions []string
}

// pattern is how the two sides of a test deal with each other.
type pattern struct {
	// measure and serve make the loops of the two sides. Without serve the test has no
	// peer. They set the side up with the other one's help, under way at the same time.
	measure, serve func(ctx context.Context, s *session) (loop, error)
	// inherit makes what the two processes of a bare test share. The descriptors
	// are handed to the peer's process.
	inherit func(p params) ([]*os.File, error)
	// functions measures Config.Functions, instead of measure and serve, if there
	// are any. A test without measure needs some.
	functions func(ctx context.Context, r *runner, p params) ([]Result, error)

	iterations func(size int, mode string) int // default number
	// baseline names the bare test to compare with, in this mode and over a device
	// with this medium; nil for none.
	baseline func(mode string, m medium) string

	bandwidth      bool // what counts is bytes a second, and there are no round trips
	bare           bool // uses no transport
	depth, workers several
}

// loop does n operations of one side. It is called for the warm-up and for the
// measured part, at the same time on both sides, on a thread that is pinned to a
// core. The measuring side adds each round trip to out; for the peer it is nil. It
// allocates nothing per operation.
type loop func(ctx context.Context, n int, out *samples) error

// sizes of messages that a test takes, in bytes: multiples of step.
type sizes struct{ normal, least, most, step int }

// several is how many there are of something; none stands for one, always.
type several struct{ normal, most int }

var (
	pingPong = pattern{
		measure: newPingPong, serve: newPingPong,
		iterations: latencyIterations, baseline: answered,
	}
	fetch = pattern{
		measure: newFetch, serve: newTarget,
		iterations: latencyIterations, baseline: fetched,
	}
	stream = pattern{
		measure: newStream, serve: newTarget, depth: several{bulkDepth, maxBulkDepth},
		iterations: bandwidthIterations, baseline: moved, bandwidth: true,
	}
	creditedStream = pattern{
		measure: newCreditedStream, serve: newSink, depth: several{bulkDepth, maxBulkDepth},
		iterations: bandwidthIterations, baseline: moved, bandwidth: true,
	}
	call = pattern{
		measure: newInvokeLatency, serve: newInvokeWorkers, functions: functionLatencies,
		iterations: latencyIterations, baseline: answered,
	}
	callStream = pattern{
		measure: newInvokeRate, serve: newInvokeWorkers, depth: several{16, 256}, workers: several{1, 64},
		iterations: bandwidthIterations, baseline: answered, bandwidth: true,
	}
	bufferStream = pattern{
		measure: newInvokeBandwidth, serve: newInvokeWorkers, depth: callStream.depth, workers: callStream.workers,
		iterations: bandwidthIterations, baseline: moved, bandwidth: true,
	}
)

const (
	bulkDepth    = 64
	maxBulkDepth = 4096
	bulkSize     = 1 << 20
	wordBytes    = 8
)

var (
	small = sizes{64, 1, maxSize, 1}
	bulk  = sizes{bulkSize, 1, maxSize, 1}
	word  = sizes{wordBytes, wordBytes, wordBytes, 1}
	lines = sizes{wordBytes, wordBytes, maxSize, wordBytes}
)

// Tests that others name.
const (
	sendLat  = "send-lat" // what leases are compared with
	leaseLat = "lease-lat"
)

const whyNotHot = "one that polls takes a processor from an executor that starts"

// table is the tests there are, in the order of the command's help.
var table = []*test{
	{
		name: "write-lat", about: "round trip of a one-sided write each way; both sides watch memory for the last byte",
		op: transport.OpWrite, pattern: pingPong, sizes: small,
		modes: []string{Hot}, modesWhy: "it spins on memory; write-imm-lat has something to sleep on",
	}, {
		name: "write-imm-lat", about: "round trip of a write with immediate data each way, through completions",
		op: transport.OpWriteImm, pattern: pingPong, sizes: small, modes: allModes,
	}, {
		name: sendLat, about: "round trip of a send each way, into receives posted in advance",
		op: transport.OpSend, pattern: pingPong, sizes: small, modes: allModes,
	}, {
		name: "read-lat", about: "time of a one-sided read, until it completed",
		op: transport.OpRead, pattern: fetch, sizes: small, modes: allModes,
	}, {
		name: "atomic-lat", about: "time of a remote fetch-add, until it completed",
		op: transport.OpFetchAdd, pattern: fetch, sizes: word, modes: allModes,
	}, {
		name: "write-bw", about: "bandwidth of one-sided writes",
		op: transport.OpWrite, pattern: stream, sizes: bulk, modes: allModes,
	}, {
		name: "read-bw", about: "bandwidth of one-sided reads",
		op: transport.OpRead, pattern: stream, sizes: bulk, modes: allModes,
	}, {
		name: "send-bw", about: "bandwidth of sends into receives posted in advance, with credits",
		op: transport.OpSend, pattern: creditedStream, sizes: bulk, modes: allModes,
	}, {
		name: "invoke-lat", about: "round trip of a call of a function that does nothing, size bytes in and none out",
		pattern: call, sizes: small, modes: allModes,
	}, {
		name: "invoke-rate", about: "calls a second of one client that keeps depth of them in flight at each worker",
		pattern: callStream, sizes: small, modes: allModes,
	}, {
		name: "invoke-bw", about: "bandwidth of the inputs of calls from registered buffers",
		pattern: bufferStream, sizes: bulk, modes: allModes,
	}, {
		name: leaseLat, about: "a lease granted and released, without use; beside send-lat, leases that are used, and cold-start",
		pattern: pattern{measure: newLeaseLatency, serve: newLeaseAgent, iterations: always(200_000), baseline: answered},
		sizes:   sizes{lease.MessageBytes, lease.MessageBytes, lease.MessageBytes, 1},
		modes:   []string{Hot, Adaptive}, modesWhy: "an agent polls for a while at least",
		companions: []string{sendLat, "lease-used", "lease-first-call", "cold-start"},
	}, {
		name: "lease-used", about: "a lease, a connection to its worker, one call, release and fence: until the cores are free again",
		pattern: pattern{functions: wholeLeases, iterations: always(coldStarts)},
		sizes:   small, modes: []string{Adaptive, Warm}, modesWhy: whyNotHot,
	}, {
		name: "lease-first-call", about: "time from asking for a lease to the first result of its worker: without a spare executor, and with",
		pattern: pattern{functions: firstCalls, iterations: always(coldStarts)},
		sizes:   small, modes: []string{Adaptive, Warm}, modesWhy: whyNotHot,
	}, {
		name: "cold-start", about: "time from asking for an executor to the first result: without a spare one, and with",
		pattern: pattern{functions: coldStart, iterations: always(coldStarts)},
		sizes:   small, modes: []string{Adaptive, Warm}, modesWhy: whyNotHot,
	}, {
		name: "baseline-shm-lat", about: "bare medium: two processes bounce one cache line",
		pattern: pattern{measure: newBounce, serve: newBounce, inherit: oneSharedMemory, iterations: latencyIterations, bare: true},
		sizes:   lines, modes: []string{Hot}, modesWhy: "it spins on memory; baseline-block-lat sleeps",
	}, {
		name: "baseline-block-lat", about: "bare medium: two processes wake each other, blocked in eventfd reads",
		pattern: pattern{measure: newBlock, serve: newBlock, inherit: newEventfds, iterations: latencyIterations, bare: true},
		sizes:   word, modes: []string{Warm}, modesWhy: "it sleeps; baseline-shm-lat spins",
	}, {
		name: "baseline-memcpy-bw", about: "bare medium: one process copies between buffers of shared memory",
		pattern: pattern{measure: newCopying, depth: stream.depth, iterations: bandwidthIterations, bandwidth: true, bare: true},
		sizes:   bulk, modes: []string{Hot}, modesWhy: "there is nobody to wait for",
	}, {
		name: "baseline-udp-lat", about: "bare medium: two processes send one UDP datagram to and fro over the loopback interface, polling",
		pattern: pattern{measure: newDatagrams, serve: newDatagrams, inherit: newSockets, iterations: datagramIterations, bare: true},
		sizes:   sizes{64, 1, maxDatagramBytes, 1}, modes: []string{Hot}, modesWhy: "it polls its socket; baseline-block-lat sleeps",
	}, {
		name: "baseline-udp-bw", about: "bare medium: one-way stream of UDP datagrams of RoCE's size, with UDP_SEGMENT and UDP_GRO",
		pattern: pattern{measure: newDatagramSource, serve: newDatagramSink, inherit: newSockets, iterations: bandwidthIterations, bandwidth: true, bare: true},
		sizes:   bulk, modes: []string{Hot}, modesWhy: "it polls its socket",
	},
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
		infos[i] = TestInfo{t.name, t.about, slices.Clone(t.modes), t.sizes.normal, t.bandwidth, t.takesFunctions(), t.needsFunctions()}
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
	return slices.ContainsFunc(t.companions, func(name string) bool { return that(lookup(name)) })
}

// companion is what is measured of a companion beside p.
func (t *test) companion(p params) params {
	p.Test, p.SizeBytes, p.Depth, p.Workers = t.name, clamp(p.SizeBytes, t.sizes.least, t.sizes.most), 1, 1
	if !slices.Contains(t.modes, p.Mode) {
		p.Mode = t.modes[0]
	}
	p.Iterations = min(p.Iterations, t.iterations(p.SizeBytes, p.Mode))
	p.Warmup = warmup(p.Iterations)
	return p
}

// lookup is the test of a name, nil if there is none.
func lookup(name string) *test {
	if i := slices.IndexFunc(table, func(t *test) bool { return t.name == name }); i >= 0 {
		return table[i]
	}
	return nil
}

func find(name string) (*test, error) {
	if t := lookup(name); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("unknown test %q: there are %s", name, namesOf(func(*test) bool { return true }))
}

// namesOf lists some of the tests for a message.
func namesOf(some func(*test) bool) string {
	var names []string
	for _, t := range table {
		if some(t) {
			names = append(names, t.name)
		}
	}
	return strings.Join(names, ", ")
}

// latencyIterations is the default of latency tests: a second or two.
func latencyIterations(size int, mode string) int {
	if mode == Warm {
		return 20_000
	}
	return clamp(4<<30/max(size, 1), 1000, 1_000_000)
}

// datagramIterations makes a second or so: each takes microseconds.
func datagramIterations(size int, mode string) int {
	return min(latencyIterations(size, mode), 200_000)
}

// bandwidthIterations is the default of bandwidth tests: some gigabytes, or five
// million messages.
func bandwidthIterations(size int, _ string) int {
	return clamp(8<<30/max(size, 1), 1000, 5_000_000)
}

// always is one default for all sizes and modes.
func always(n int) func(int, string) int { return func(int, string) int { return n } }

func clamp(x, least, most int) int { return min(max(x, least), most) }

// medium is what is under a device: the names of the bare tests of it, one with
// a polling round trip and one of bandwidth.
type medium struct{ latency, bandwidth string }

var (
	sharedMemoryMedium = medium{"baseline-shm-lat", "baseline-memcpy-bw"}
	datagramMedium     = medium{"baseline-udp-lat", "baseline-udp-bw"}
)

// mediumOf is the medium of a device with these features: what reaches other
// machines goes through a network, even when the peer is on this one.
func mediumOf(f transport.Features) medium {
	if f.Has(transport.FeatureCrossHost) {
		return datagramMedium
	}
	return sharedMemoryMedium
}

// answered is the baseline of a latency test in which the peer's program
// answers: a polling round trip, or a blocking wake-up for those that sleep.
func answered(mode string, m medium) string {
	if mode == Warm {
		return "baseline-block-lat"
	}
	return m.latency
}

// fetched is the baseline of a latency test in which nobody is woken at the peer.
func fetched(_ string, m medium) string { return m.latency }

// moved is the baseline of a bandwidth test.
func moved(_ string, m medium) string { return m.bandwidth }

// baselineParams is the measurement of the bare medium that belongs to p, if
// there is one: of the same size where the baseline has sizes.
func baselineParams(p params, m medium) (params, bool) {
	t := lookup(p.Test)
	if t.baseline == nil {
		return params{}, false
	}
	b := lookup(t.baseline(p.Mode, m))
	size := clamp(p.SizeBytes, b.sizes.least, b.sizes.most)
	size = (size + b.sizes.step - 1) / b.sizes.step * b.sizes.step
	c := Config{Iterations: p.Iterations}
	if b.depth.most > 0 {
		c.Depth = p.Depth
	}
	bp, err := b.params(c, size)
	return bp, err == nil
}
