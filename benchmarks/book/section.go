package main

import (
	"fmt"
	"math"

	"github.com/rfaas-go/rfaas/benchmarks"
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
		latency:   func(size int) int { return bounded(256<<20/size, 300, 20_000) },
		samples:   200_000, rate: 100_000, bytes: 1 << 30, starts: 20,
	}
	quick = effort{
		sizes:     []int{8, 64, 4 << 10, 64 << 10, 1 << 20},
		depths:    []int{1, 16, 64},
		bulkSizes: []int{4 << 10, 64 << 10, 1 << 20},
		latency:   func(size int) int { return bounded(32<<20/size, 30, 2000) },
		samples:   20_000, rate: 10_000, bytes: 64 << 20, starts: 5,
	}
	tiny = effort{
		sizes: []int{8, 4 << 10}, depths: []int{1, 4}, bulkSizes: []int{4 << 10, 64 << 10},
		latency: func(int) int { return 20 },
		samples: 200, rate: 200, bytes: 1 << 20, starts: 1,
	}
)

func bounded(n, least, most int) int { return min(max(n, least), most) }

func sectionNames() []string {
	var names []string
	for _, s := range newSections(&machine{cores: 1}, tiny) {
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
	}
}

func latencySection(m *machine, e effort) *section {
	s := &section{
		name: "latency", title: "Round trip over message size",
		about: "Time from sending until the answer is there, one at a time: the median of all round trips of a round. " + messagesAndCalls,
		unit:  nanoseconds, kind: lines, axis: "message size (bytes)", base: "Unix socket",
	}
	for _, size := range e.sizes {
		s.settings = append(s.settings, setting{label: formatBytes(size), x: float64(size), size: size, iterations: e.latency(size)})
	}
	s.series = append(s.series,
		newOurs(m, "invoke loopback", roundTrips, benchmarks.Config{Test: "invoke-lat", Transport: "loopback:"}).
			withNote("loopback does not leave the process: both sides are in one"))
	for _, t := range transports {
		s.series = append(s.series,
			newOurs(m, "write-imm "+t.name, roundTrips, benchmarks.Config{Test: "write-imm-lat", Transport: t.url}),
			newOurs(m, "invoke "+t.name, roundTrips, benchmarks.Config{Test: "invoke-lat", Transport: t.url}))
	}
	return s.with(socketPeers(m, testLatency)...)
}

func (s *section) with(more ...series) *section {
	s.series = append(s.series, more...)
	return s
}
