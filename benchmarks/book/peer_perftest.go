package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// perftest is ib_write_lat or ib_write_bw, over the first RDMA device.
type perftest struct {
	about
	machine *machine
	program string
}

func perftestPeer(m *machine, program string) series {
	p := &perftest{about{label: "perftest " + program, of: peer}, m, program}
	if p.latency() {
		p.remarks = "ib_write_lat prints half of a round trip, which is doubled here"
	}
	return p
}

func (p *perftest) latency() bool { return strings.HasSuffix(p.program, "_lat") }

func (p *perftest) find(ctx context.Context) (string, error) {
	if _, err := exec.LookPath(p.program); err != nil {
		return "", &missing{"install perftest, for " + p.program + " (it needs an RDMA device, too)"}
	}
	out, err := exec.CommandContext(ctx, "ibv_devinfo", "-l").CombinedOutput()
	if err != nil || !listsDevice(string(out)) {
		return "", &missing{"no RDMA device (ibv_devinfo -l: " + lastLines(string(out)) + ")"}
	}
	version, _ := exec.CommandContext(ctx, p.program, "--version").CombinedOutput() // its exit code is not 0
	return "perftest " + strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(version)), "Version:")), nil
}

// listsDevice tells whether ibv_devinfo -l has listed any: "1 HCA found:".
func listsDevice(text string) bool {
	count, _, found := strings.Cut(strings.TrimSpace(text), " HCA")
	n, err := strconv.Atoi(strings.TrimSpace(count))
	return found && err == nil && n > 0
}

func (p *perftest) words(s setting) words {
	return func(port string) (server, client []string) {
		options := []string{"-p", port, "-s", strconv.Itoa(s.size), "-n", strconv.Itoa(max(s.iterations, 5)), "-F"}
		server = p.machine.on(p.machine.peer, append([]string{p.program}, options...)...)
		client = p.machine.on(p.machine.measuring, append(append([]string{p.program}, options...), "127.0.0.1")...)
		return server, client
	}
}

func (p *perftest) command(s setting) string { return p.words(s).text() }

func (p *perftest) measure(ctx context.Context, s setting) (figure, error) {
	out, err := p.words(s).run(ctx)
	if err != nil {
		return figure{}, err
	}
	if p.latency() {
		v, err := perftestColumn(out, latencyColumn)
		return figure{value: v * halfMicroseconds}, err
	}
	v, err := perftestColumn(out, averageColumn)
	return figure{value: v * mebibytes}, err
}

// Columns of what perftest prints: bytes, iterations, and then those of the program.
const (
	latencyColumn = 4 // t_typical[usec], after t_min and t_max
	averageColumn = 3 // BW average[MiB/sec], after the peak
)

// perftestColumn is a column of the line below the titles, which begin with "#bytes". Titles
// contain blanks: it is counted.
func perftestColumn(text string, column int) (float64, error) {
	below := false
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if below && len(fields) > column {
			return positive(fields[column])
		}
		below = strings.HasPrefix(strings.TrimSpace(line), "#bytes")
	}
	return 0, fmt.Errorf("there is no table in what was printed: %s", lastLines(text))
}
