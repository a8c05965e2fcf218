package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// ucx is a test of ucx_perftest over one of UCX's transports.
type ucx struct {
	about
	machine *machine
	test    string
	over    string   // UCX_TLS
	env     []string // more of it
	column  string   // of what it prints
	times   float64  // makes the section's unit of it
	depth   bool     // it keeps so many in flight as the setting says
}

// What ucx_perftest prints.
const (
	halfMicroseconds = 2 * 1000 // half of a round trip
	mebibytes        = 1 << 20
)

func newUCX(m *machine, label, test, over, column string, times float64) *ucx {
	u := &ucx{about: about{label: label, of: peer}, machine: m, test: test, over: over, column: column, times: times}
	if over == "tcp" {
		u.env = []string{"UCX_NET_DEVICES=lo"}
	}
	return u
}

func ucxLatencies(m *machine) []series {
	const column = "50.0_percentile_lat"
	all := []series{
		newUCX(m, "UCX tag_lat, shm", "tag_lat", "shm", column, halfMicroseconds),
		newUCX(m, "UCX put_lat, shm", "ucp_put_lat", "shm", column, halfMicroseconds),
		newUCX(m, "UCX tag_lat, tcp", "tag_lat", "tcp", column, halfMicroseconds),
	}
	all[0].(*ucx).remarks = "ucx_perftest prints half of a round trip, which is doubled here; a median of its last 2048 samples; UCX_TLS=shm is posix, sysv and cma, of which UCX chooses"
	return all
}

func ucxRates(m *machine) []series {
	shm := newUCX(m, "UCX tag_bw, shm, one-way", "tag_bw", "shm", "overall_mr", 1)
	tcp := newUCX(m, "UCX tag_bw, tcp, one-way", "tag_bw", "tcp", "overall_mr", 1)
	shm.depth, tcp.depth = true, true
	return []series{shm, tcp}
}

func ucxBandwidths(m *machine) []series {
	return []series{
		newUCX(m, "UCX tag_bw, shm", "tag_bw", "shm", "overall_bw", mebibytes),
		newUCX(m, "UCX tag_bw, tcp", "tag_bw", "tcp", "overall_bw", mebibytes),
	}
}

func (u *ucx) find(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("ucx_perftest"); err != nil {
		return "", &missing{"install UCX (Debian: ucx-utils), for ucx_perftest"}
	}
	out, err := exec.CommandContext(ctx, "ucx_info", "-v").Output()
	if err != nil {
		return "UCX, of unknown version", nil
	}
	return "UCX " + ucxVersion(string(out)), nil
}

// ucxVersion is what ucx_info -v says.
func ucxVersion(text string) string {
	for line := range strings.Lines(text) {
		for _, before := range []string{"# Version ", "# Library version: "} {
			if version, ok := strings.CutPrefix(line, before); ok {
				return strings.TrimSpace(version)
			}
		}
	}
	return "of unknown version"
}

func (u *ucx) environment() []string {
	return append([]string{"UCX_TLS=" + u.over + ",self", "UCX_LOG_LEVEL=error", "UCX_WARN_UNUSED_ENV_VARS=n"}, u.env...)
}

func (u *ucx) words(s setting) words {
	return func(port string) (server, client []string) {
		server = u.machine.on(u.machine.peer, "ucx_perftest", "-p", port, "-f", "-v")
		client = u.machine.on(u.machine.measuring, "ucx_perftest", "127.0.0.1", "-p", port, "-f", "-v", "-t", u.test,
			"-s", strconv.Itoa(s.size), "-n", strconv.Itoa(s.iterations), "-w", strconv.Itoa(s.warmup()))
		if u.depth {
			client = append(client, "-O", strconv.Itoa(s.depth))
		}
		return server, client
	}
}

func (u *ucx) command(s setting) string { return u.words(s).text(u.environment()...) }

func (u *ucx) measure(ctx context.Context, s setting) (figure, error) {
	out, err := u.words(s).run(ctx, u.environment()...)
	if err != nil {
		return figure{}, err
	}
	v, err := csvColumn(out, u.column)
	return figure{value: v * u.times}, err
}

// csvColumn is a figure of the last line of the table that ucx_perftest -v prints.
func csvColumn(csv, name string) (float64, error) {
	rows := strings.Split(strings.TrimSpace(csv), "\n")
	titles, values := strings.Split(rows[0], ","), strings.Split(rows[len(rows)-1], ",")
	for i, title := range titles {
		if strings.TrimSpace(title) == name && len(rows) > 1 && len(values) == len(titles) {
			return positive(values[i])
		}
	}
	return 0, fmt.Errorf("ucx_perftest has printed no %s: %s", name, lastLines(csv))
}

// positive is a figure that another program has printed.
func positive(text string) (float64, error) {
	v, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || !(v > 0) {
		return 0, fmt.Errorf("%q is not a figure", text)
	}
	return v, nil
}
