package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// libfabric is fi_pingpong over one of libfabric's providers.
type libfabric struct {
	about
	machine            *machine
	provider, endpoint string
}

func libfabricPeers(m *machine) []series {
	var all []series
	for _, x := range []struct{ name, provider, endpoint string }{
		{"libfabric shm", "shm", "rdm"},
		{"libfabric tcp", "tcp", "msg"},
		{"libfabric tcp;ofi_rxm", "tcp;ofi_rxm", "rdm"},
		{"libfabric udp;ofi_rxd", "udp;ofi_rxd", "rdm"},
	} {
		all = append(all, &libfabric{about{label: x.name, of: peer}, m, x.provider, x.endpoint})
	}
	all[0].(*libfabric).remarks = "fi_pingpong prints half of a round trip, which is doubled here; it is a mean, not a median, and there is no option for a warm-up"
	return all
}

func (l *libfabric) find(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("fi_pingpong"); err != nil {
		return "", &missing{"install libfabric (Debian: libfabric-bin), for fi_pingpong"}
	}
	out, err := exec.CommandContext(ctx, "fi_info", "--version").Output()
	if err != nil {
		return "libfabric, of unknown version", nil
	}
	return libfabricVersion(string(out)), nil
}

// libfabricVersion is what fi_info --version says.
func libfabricVersion(text string) string {
	for line := range strings.Lines(text) {
		if version, ok := strings.CutPrefix(line, "libfabric: "); ok {
			return "libfabric " + strings.TrimSpace(version)
		}
	}
	return "libfabric, of unknown version"
}

func (l *libfabric) words(s setting) words {
	return func(port string) (server, client []string) {
		options := []string{"-p", l.provider, "-e", l.endpoint, "-I", strconv.Itoa(s.iterations), "-S", strconv.Itoa(s.size)}
		server = l.machine.on(l.machine.peer, append([]string{"fi_pingpong", "-B", port}, options...)...)
		client = l.machine.on(l.machine.measuring, append(append([]string{"fi_pingpong", "-P", port}, options...), "127.0.0.1")...)
		return server, client
	}
}

func (l *libfabric) command(s setting) string { return l.words(s).text() }

func (l *libfabric) measure(ctx context.Context, s setting) (figure, error) {
	out, err := l.words(s).run(ctx)
	if err != nil {
		return figure{}, err
	}
	v, err := columnOf(out, "usec/xfer")
	return figure{value: v * halfMicroseconds}, err
}

// columnOf is a figure of the last line of a table whose columns are separated by blanks.
func columnOf(table, name string) (float64, error) {
	var titles, values []string
	for line := range strings.Lines(table) {
		switch fields := strings.Fields(line); {
		case strings.Contains(line, name):
			titles = fields
		case len(titles) > 0 && len(fields) == len(titles):
			values = fields
		}
	}
	for i, title := range titles {
		if title == name && values != nil {
			return positive(values[i])
		}
	}
	return 0, fmt.Errorf("there is no %s in what was printed: %s", name, lastLines(table))
}
