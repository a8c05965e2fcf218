//go:build cgo

package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// process is one for all time: ids are used again, ids with starting times are not.
type process struct {
	pid   int
	start string // in clock ticks since the machine started
}

// standing is what the kernel says of a process.
type standing struct {
	process
	parent int
	cores  string // that it may use
}

// standingOf says how a process is; ok is false if it has ended, reaped or not.
func standingOf(pid int) (s standing, ok bool) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return s, false
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return s, false
	}
	const state, parent, start = 0, 1, 19 // behind the name, which could be anything
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return s, false
	}
	allowed := regexp.MustCompile(`\nCpus_allowed_list:\t(\S+)\n`).FindSubmatch(status)
	if allowed == nil {
		return s, false
	}
	s = standing{process: process{pid, fields[start]}, cores: string(allowed[1])}
	s.parent, err = strconv.Atoi(fields[parent])
	return s, err == nil
}

// lives says whether a process has not ended.
func (p process) lives() bool {
	s, ok := standingOf(p.pid)
	return ok && s.process == p
}

// childrenOf are the processes that one has started.
func childrenOf(pid int) (children []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list) // the thread may have ended
		for _, child := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				children = append(children, n)
			}
		}
	}
	return children
}

// executorWatch watches the executors of nodes, and what they have: an agent that was
// killed, and the one that is started in its place, are the same node. Its methods may be
// called from anywhere.
type executorWatch struct {
	unpinned string // processors of processes without a lease

	mu       sync.Mutex
	agents   map[string]int              // processes, by node
	seen     map[string]map[process]bool // executors so far, by node
	groups   map[string]bool             // control groups' names
	problems []string
	samples  int // in which two leases of a node had executors
}

// watchExecutors watches until the test ends.
func watchExecutors(t *testing.T) *executorWatch {
	own, _ := standingOf(os.Getpid())
	w := &executorWatch{unpinned: own.cores, agents: map[string]int{}, seen: map[string]map[process]bool{}, groups: map[string]bool{}}
	over, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			w.sample()
			select {
			case <-over:
				return
			case <-time.After(3 * time.Millisecond):
			}
		}
	}()
	t.Cleanup(func() { close(over); <-done })
	return w
}

// agent says which process a node's agent is.
func (w *executorWatch) agent(node string, pid int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.agents[node] = pid
	if w.seen[node] == nil {
		w.seen[node] = map[process]bool{}
	}
}

// sample looks at all nodes once.
func (w *executorWatch) sample() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for node, agent := range w.agents {
		for _, pid := range childrenOf(agent) {
			if s, ok := standingOf(pid); ok && s.parent == agent {
				w.seen[node][s.process] = true
				w.noteGroup(pid)
			}
		}
		w.compare(node)
	}
}

// compare looks for processors that two executors of a node have at once. Spares, which
// no one has leased, are not pinned.
func (w *executorWatch) compare(node string) {
	holders := map[string]process{}
	for p, alive := range w.seen[node] {
		if !alive {
			continue
		}
		s, ok := standingOf(p.pid)
		if !ok || s.process != p {
			w.seen[node][p] = false
			continue
		}
		if s.cores == w.unpinned {
			continue
		}
		// The first one may have ended before the second one got its core. If it lives
		// even now it has the core still.
		if first, taken := holders[s.cores]; taken && first.lives() {
			w.problems = append(w.problems, fmt.Sprintf("node %s: processes %d and %d both run on core %s", node, first.pid, p.pid, s.cores))
		}
		holders[s.cores] = p
	}
	if len(holders) > 1 {
		w.samples++
	}
}

// noteGroup notes the control group of the supervisor that has started a process.
func (w *executorWatch) noteGroup(pid int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	for _, found := range regexp.MustCompile(`/(rfaas-host-[^/\n]+)/`).FindAllSubmatch(text, -1) {
		w.groups[string(found[1])] = true
	}
}

// executors are those of all nodes now, in order.
func (w *executorWatch) executors() (all []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, node := range slices.Sorted(maps.Keys(w.agents)) {
		all = append(all, childrenOf(w.agents[node])...)
	}
	return all
}

// found is what was wrong so far.
func (w *executorWatch) found() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.problems)
}

// remains is what there is of executors now: processes and control groups. Namespaces
// are held by processes only.
func (w *executorWatch) remains() (what []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for node, seen := range w.seen {
		for p := range seen {
			if p.lives() {
				what = append(what, fmt.Sprintf("process %d of node %s", p.pid, node))
			}
		}
	}
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err == nil && w.groups[d.Name()] {
			what = append(what, path)
		}
		return nil // some go while they are being listed
	})
	return what
}

// over says whether a process that was not waited for yet has ended, all of its threads.
func (s *started) over() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_PID, s.cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
	return err != nil || info.Signo != 0
}
