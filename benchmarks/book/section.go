package main

import (
	"fmt"
	"math"

	"github.com/rfaas-go/rfaas/benchmarks"
	"github.com/rfaas-go/rfaas/benchmarks/internal/chart"
	"github.com/rfaas-go/rfaas/benchmarks/internal/origin"
)

// section is one question, asked of several series.
type section struct {
	name, title string
	about       string // what is measured, and what to know about it
	unit        unit
	kind        plotKind
	axis        string // of the plot, for lines
	settings    []setting
	shares      []float64 // percentiles as columns, instead of the figure
	base        string    // name of the series that the others are divided by
	series      []series
}

// column is one of a table's: something about the figures at a setting.
type column struct {
	label   string
	setting int
	of      func(figure) float64
}

func (s *section) columns() []column {
	var columns []column
	for j, at := range s.settings {
		if len(s.shares) == 0 {
			columns = append(columns, column{at.label, j, func(f figure) float64 { return f.value }})
		}
		for _, share := range s.shares {
			label := fmt.Sprintf("p%g", math.Round(share*1e6)/1e4)
			columns = append(columns, column{label, j, func(f figure) float64 { return f.percentile(share) }})
		}
	}
	return columns
}

// effort is how much is measured.
type effort struct {
	sizes, depths, bulkSizes []int
	latency                  func(size int) int // round trips
	samples                  int                // of the distribution
	rate                     int                // operations
	bytes                    int                // moved for a bandwidth
	starts                   int
}

var (
	full = effort{
		sizes:     []int{8, 64, 512, 4 << 10, 32 << 10, 256 << 10, 1 << 20},
		depths:    []int{1, 4, 16, 64},
		bulkSizes: []int{4 << 10, 32 << 10, 256 << 10, 1 << 20, 4 << 20},
		latency:   func(size int) int { return bounded(64<<20/size, 100, 10_000) },
		samples:   100_000, rate: 50_000, bytes: 512 << 20, starts: 20,
	}
	quick = effort{
		sizes:     []int{8, 64, 4 << 10, 64 << 10, 1 << 20},
		depths:    []int{1, 16, 64},
		bulkSizes: []int{4 << 10, 64 << 10, 1 << 20},
		latency:   func(size int) int { return bounded(32<<20/size, 30, 2000) },
		samples:   20_000, rate: 10_000, bytes: 64 << 20, starts: 5,
	}
	tiny = effort{
		sizes: []int{64}, depths: []int{1, 4}, bulkSizes: []int{4 << 10, 64 << 10},
		latency: func(int) int { return 5 },
		samples: 50, rate: 50, bytes: 1 << 20, starts: 1,
	}
)

func bounded(n, least, most int) int { return min(max(n, least), most) }

func sectionNames() []string {
	var names []string
	for _, s := range newSections(&machine{Info: origin.Info{Cores: 1}}, tiny) {
		names = append(names, s.name)
	}
	return names
}

const messagesAndCalls = "Messages (write-imm, sockets, UCX, libfabric) have this size both ways. " +
	"Calls (invoke, net/rpc, gRPC) have it on the way there, and an empty result."

// newSections lists what can be measured.
func newSections(m *machine, e effort) []*section {
	return []*section{
		latencySection(m, e),
		distributionSection(m, e),
		throughputSection(m, e),
		bandwidthSection(m, e),
		workersSection(m, e),
		coldSection(m, e),
		waitingSection(m, e),
	}
}

// smallBytes is the size of the messages of sections that have one size.
const smallBytes = 64

func latencySection(m *machine, e effort) *section {
	s := &section{
		name: "latency", title: "Round trip over message size",
		about: "Time from sending until the answer is there, one at a time: the median of all round trips of a round. " + messagesAndCalls,
		unit:  nanoseconds, kind: lines, axis: "message size (bytes)", base: unixSocket,
	}
	for _, size := range e.sizes {
		s.settings = append(s.settings, setting{label: chart.Bytes(size), x: float64(size), size: size, iterations: e.latency(size)})
	}
	return s.with(
		newOurs(m, "invoke loopback", roundTrips, benchmarks.Config{Test: "invoke-lat", Transport: "loopback:"}).
			withNote("loopback does not leave the process: both sides are in one")).
		with(roundTripsOfOurs(m)...).
		with(writesOfOurs(m)...).
		with(newBaseline(m, "bare shared memory", "baseline-shm-lat").withNote("two processes poll one cache line, or as many as the size needs"),
			newBaseline(m, "bare UDP, polled", "baseline-udp-lat").withNote("two processes poll a UDP socket each; up to a datagram's size")).
		with(socketPeers(m, testLatency)...).
		with(rpcPeers(m, testLatency)...).
		with(ucxLatencies(m)...).
		with(libfabricPeers(m)...).
		with(perftestPeer(m, "ib_write_lat"))
}

func distributionSection(m *machine, e effort) *section {
	s := &section{
		name: "distribution", title: "Distribution of round trips",
		about: "All round trips with 64 B, of all rounds together in the plot; the table has the percentiles of rounds. " +
			"The programs of UCX, libfabric and perftest are not here: they do not print their samples, and ucx_perftest keeps the last 2048 only.",
		unit: nanoseconds, kind: distribution, base: unixSocket,
		settings: []setting{{label: "64 B", size: smallBytes, iterations: e.samples}},
		shares:   []float64{0.5, 0.9, 0.99, 0.999, 0.9999},
	}
	return s.with(roundTripsOfOurs(m)...).with(socketPeers(m, testLatency)...).with(rpcPeers(m, testLatency)...)
}

// roundTripsOfOurs are messages and calls over each transport between processes.
func roundTripsOfOurs(m *machine) (all []series) {
	for _, t := range transports {
		all = append(all,
			newOurs(m, "write-imm "+t.name, roundTrips, benchmarks.Config{Test: "write-imm-lat", Transport: t.url}),
			newOurs(m, "invoke "+t.name, roundTrips, benchmarks.Config{Test: "invoke-lat", Transport: t.url}))
	}
	return all
}

// writesOfOurs are writes without a message: each end looks at its memory.
func writesOfOurs(m *machine) (all []series) {
	for _, t := range transports {
		all = append(all, newOurs(m, "write "+t.name, roundTrips, benchmarks.Config{Test: "write-lat", Transport: t.url}).
			withNote("nothing tells the peer of a write: it watches its memory, as that of ucp_put_lat does"))
	}
	return all
}

func throughputSection(m *machine, e effort) *section {
	s := &section{
		name: "throughput", title: "Operations a second over depth",
		about: "Operations of 64 B that a client completes in a second with so many in flight. Those of sockets, invoke, net/rpc and gRPC are answered. " +
			"Series called one-way are not: their receiver only gives room back.",
		unit: perSecond, kind: lines, axis: "operations in flight", base: unixSocket,
	}
	for _, depth := range e.depths {
		s.settings = append(s.settings, setting{label: fmt.Sprint(depth), x: float64(depth), size: smallBytes, depth: depth, iterations: e.rate})
	}
	for _, t := range transports {
		s.series = append(s.series,
			newOurs(m, "send "+t.name+", one-way", operations, benchmarks.Config{Test: "send-bw", Transport: t.url}),
			newOurs(m, "invoke "+t.name, operations, benchmarks.Config{Test: "invoke-rate", Transport: t.url}))
	}
	return s.with(socketPeers(m, testRate)...).with(rpcPeers(m, testRate)...).with(ucxRates(m)...)
}

func bandwidthSection(m *machine, e effort) *section {
	s := &section{
		name: "bandwidth", title: "Bandwidth over message size",
		about: "Payload in one direction, until the other end has confirmed that all of it is there. invoke, net/rpc and gRPC have 16 calls in flight with their input, " +
			"write and UCX what their programs choose, sockets what their buffers hold. fi_pingpong measures no stream.",
		unit: bytesPerSecond, kind: lines, axis: "message size (bytes)", base: unixSocket,
	}
	for _, size := range e.bulkSizes {
		s.settings = append(s.settings, setting{label: chart.Bytes(size), x: float64(size), size: size, iterations: bounded(e.bytes/size, 16, 50_000)})
	}
	for _, t := range transports {
		s.series = append(s.series,
			newOurs(m, "write "+t.name, bytesMoved, benchmarks.Config{Test: "write-bw", Transport: t.url}),
			newOurs(m, "invoke "+t.name, bytesMoved, benchmarks.Config{Test: "invoke-bw", Transport: t.url}))
	}
	return s.with(socketPeers(m, testStream)...).with(rpcPeers(m, testStream)...).with(ucxBandwidths(m)...).with(perftestPeer(m, "ib_write_bw"))
}

func workersSection(m *machine, e effort) *section {
	s := &section{
		name: "workers", title: "Calls a second over workers",
		about: "One client process with so many workers (this project) or connections to a server (peers), with 16 calls of 64 B in flight at each. " +
			"Workers poll for 50 us and then sleep, as there may be fewer cores than workers and client together.",
		unit: perSecond, kind: lines, axis: "workers", base: unixSocket,
	}
	for n := 1; n <= m.Cores; n *= 2 {
		s.settings = append(s.settings, workers(n, e))
		if n < m.Cores && 2*n > m.Cores {
			s.settings = append(s.settings, workers(m.Cores, e))
		}
	}
	for _, t := range transports {
		s.series = append(s.series, newOurs(m, "invoke "+t.name, operations, benchmarks.Config{Test: "invoke-rate", Transport: t.url}))
	}
	return s.with(socketPeers(m, testRate)[0]).with(rpcPeers(m, testRate)...)
}

// mostWorkers is as many as invoke-rate has.
const mostWorkers = 64

func workers(n int, e effort) setting {
	n = min(n, mostWorkers)
	return setting{label: fmt.Sprint(n), x: float64(n), size: smallBytes, depth: 16, workers: n, mode: benchmarks.Adaptive, iterations: e.rate}
}

func coldSection(m *machine, e effort) *section {
	s := &section{
		name: "cold", title: "Cold starts",
		about: "Time from asking for an executor, a process that is not there yet, to the first result of its function, an echo in Go that is not isolated: with nothing ready, and with a spare process. " +
			"The peer is the least that another system has to do: start the same program, connect to it over a Unix socket and get one answer.",
		unit: nanoseconds, kind: bars, base: processStart,
		settings: []setting{{label: "first result", size: smallBytes, iterations: e.starts}},
	}
	for _, t := range transports {
		for _, start := range []string{benchmarks.StartCold, benchmarks.StartSpare} {
			o := newOurs(m, start+" executor, "+t.name, roundTrips, benchmarks.Config{Test: "cold-start", Transport: t.url, Functions: []benchmarks.Function{echoFunction()}})
			o.start = start
			s.series = append(s.series, o)
		}
	}
	return s.with(&processPeer{about: about{label: processStart, of: peer}, machine: m})
}

func waitingSection(m *machine, e effort) *section {
	s := &section{
		name: "waiting", title: "Ways to wait",
		about: "Round trip of a call with 64 B: hot polls, warm sleeps at once, adaptive polls for 50 us and then sleeps, on both sides alike. " +
			"What polls keeps a core busy. All but the Unix socket are pinned to two cores.",
		unit: nanoseconds, kind: bars, base: "invoke shm, hot",
		settings: []setting{{label: "round trip", size: smallBytes, iterations: e.latency(smallBytes)}},
	}
	for _, t := range transports {
		for _, mode := range []string{benchmarks.Hot, benchmarks.Adaptive, benchmarks.Warm} {
			s.series = append(s.series, newOurs(m, "invoke "+t.name+", "+mode, roundTrips, benchmarks.Config{Test: "invoke-lat", Transport: t.url, Mode: mode}))
		}
	}
	bare := newBaseline(m, "bare wake-up (eventfd)", "baseline-block-lat")
	bare.config.Sizes = []int{8}
	sockets := socketPeers(m, testLatency)
	return s.with(bare, sockets[0], sockets[2])
}

func (s *section) with(more ...series) *section {
	s.series = append(s.series, more...)
	return s
}
