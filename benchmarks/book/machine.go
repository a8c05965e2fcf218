package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/benchmarks"
	"github.com/rfaas-go/rfaas/benchmarks/internal/origin"
)

// machine is where and with what is measured.
type machine struct {
	origin.Info
	load    string
	started time.Time

	// The two ends of a measurement are on these cores, unless a section says otherwise;
	// on the same one if there is no other.
	measuring, peer int
	taskset         string // the program, empty if there is none: peers are not pinned then
	program         string // this one, to be started as an end of a measurement

	notes []string // remarks of package benchmarks on the conditions
}

func lookAtMachine(ctx context.Context) (*machine, error) {
	m := &machine{Info: origin.Look(), started: time.Now()}
	if m.Commit == "" { // go run does not say
		m.Commit = commit(ctx)
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 2 {
			m.load = strings.Join(fields[:3], ", ")
		}
	}
	var err error
	if m.measuring, m.peer, err = benchmarks.Cores(); err != nil {
		return nil, err
	}
	if m.program, err = os.Executable(); err != nil {
		return nil, err
	}
	if m.taskset, err = exec.LookPath("taskset"); err != nil {
		m.note("taskset is not installed (package util-linux): peers run on any core")
	}
	return m, nil
}

// changing is what differs between two remarks that say the same: ports, chosen freely.
var changing = regexp.MustCompile(`(127\.0\.0\.1:)[0-9]+`)

// note adds a remark, once.
func (m *machine) note(text string) {
	text = changing.ReplaceAllString(text, "${1}PORT")
	for _, n := range m.notes {
		if n == text {
			return
		}
	}
	m.notes = append(m.notes, text)
}

// commit is that of the folder that the program runs in.
func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	revision := strings.TrimSpace(string(out))
	if out, err = exec.CommandContext(ctx, "git", "status", "--porcelain").Output(); err == nil && len(out) > 0 {
		revision += ", with changes"
	}
	return revision
}

const anyCore = -1

// on is the command that runs args on a core.
func (m *machine) on(core int, args ...string) []string {
	if core == anyCore || m.taskset == "" {
		return args
	}
	return append([]string{"taskset", "-c", strconv.Itoa(core)}, args...)
}
