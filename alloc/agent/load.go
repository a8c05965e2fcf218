package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rfaas-go/rfaas/invoke/executor"
)

// clockTick is the unit of processor time in /proc, on all of Linux's architectures that
// this library is for.
const clockTick = time.Second / 100

// loadReader reads how much processor time is used on the processors that this process
// may use. It is not safe for concurrent use.
type loadReader struct {
	begun time.Time
	self  int
	cores map[int]bool
}

func newLoadReader() (*loadReader, error) {
	allowed, err := executor.AllowedCores()
	if err != nil {
		return nil, fmt.Errorf("agent: the owner's load: %w", err)
	}
	r := &loadReader{begun: time.Now(), self: os.Getpid(), cores: map[int]bool{}}
	for _, n := range allowed {
		r.cores[n] = true
	}
	return r, nil
}

// sample reads the counters.
func (r *loadReader) sample() (s loadSample, err error) {
	text, err := os.ReadFile("/proc/stat")
	if err == nil {
		s.at = time.Since(r.begun)
		s.used, err = usedTime(text, r.cores)
	}
	if err == nil {
		s.own, err = ownTime(r.self, timesOf, allTimes)
	}
	if err != nil {
		return s, fmt.Errorf("agent: the owner's load: %w; do without YieldLoad", err)
	}
	return s, nil
}

// usedTime is what programs have used of processors, from the text of /proc/stat: in user
// mode, at any priority, and in the kernel. Time of interrupts belongs to no program, and
// much of it serves the agent's own network; what the hypervisor has stolen was used by
// other machines. Time of guests is in that of user mode already.
func usedTime(stat []byte, cores map[int]bool) (used time.Duration, err error) {
	found := false
	for line := range strings.Lines(string(stat)) {
		fields := strings.Fields(line) // cpuN user nice system idle iowait irq softirq steal guest guest_nice
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "cpu") {
			continue
		}
		if n, err := strconv.Atoi(fields[0][3:]); err != nil || !cores[n] {
			continue
		}
		ticks, err := sumTicks(fields[1:4])
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %q: %w", strings.TrimSpace(line), err)
		}
		used += ticks
		found = true
	}
	if !found {
		return 0, errors.New("/proc/stat has none of the processors that this process may use")
	}
	return used, nil
}

func sumTicks(fields []string) (sum time.Duration, err error) {
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n) * clockTick
	}
	return sum, nil
}

// processTimes is what /proc/PID/stat says of a process.
type processTimes struct {
	pid, parent int
	own         time.Duration // of the process
	reaped      time.Duration // of its children that it has waited for, and theirs
}

// attempts bounds how often the processes are looked at until no executor ends meanwhile.
const attempts = 10

// ownTime is the processor time of a process and of all that it has started, and they
// have: those that have ended, too. one and all look at processes: timesOf and allTimes.
func ownTime(self int, one func(pid int) (processTimes, error), all func() ([]processTimes, error)) (time.Duration, error) {
	for range attempts {
		before, err := one(self)
		if err != nil {
			return 0, err
		}
		others, err := all()
		if err != nil {
			return 0, err
		}
		after, err := one(self)
		if err != nil {
			return 0, err
		}
		// A child that ended in between was counted as a process, as one that was waited
		// for, as both or as neither.
		if before.reaped == after.reaped {
			return after.own + after.reaped + timeBelow(others, self), nil
		}
	}
	return 0, fmt.Errorf("executors end faster than they can be counted (%d attempts)", attempts)
}

// timeBelow is the time of the descendants of a process.
func timeBelow(all []processTimes, root int) (sum time.Duration) {
	children := map[int][]processTimes{}
	for _, p := range all {
		children[p.parent] = append(children[p.parent], p)
	}
	for next := children[root]; len(next) > 0; {
		p := next[len(next)-1]
		next = append(next[:len(next)-1], children[p.pid]...)
		sum += p.own + p.reaped
	}
	return sum
}

// allTimes are those of all processes that this one sees.
func allTimes() ([]processTimes, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	names, err := proc.Readdirnames(-1)
	proc.Close()
	if err != nil {
		return nil, err
	}
	var all []processTimes
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		if t, err := timesOf(pid); err == nil { // else it has just ended
			all = append(all, t)
		}
	}
	return all, nil
}

func timesOf(pid int) (processTimes, error) {
	file := fmt.Sprintf("/proc/%d/stat", pid)
	text, err := os.ReadFile(file)
	if err != nil {
		return processTimes{}, err
	}
	t, err := parseTimes(text)
	if err != nil {
		return processTimes{}, fmt.Errorf("%s: %w", file, err)
	}
	t.pid = pid
	return t, nil
}

// parseTimes reads the text of /proc/PID/stat: see proc_pid_stat(5). The name of the
// program, in brackets, may have spaces and brackets.
func parseTimes(stat []byte) (t processTimes, err error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const parent, utime, stime, cutime, cstime = 1, 11, 12, 13, 14 // counted from the state
	if len(fields) <= cstime {
		return t, fmt.Errorf("%d fields behind the program's name, more than %d are wanted", len(fields), cstime)
	}
	if t.parent, err = strconv.Atoi(fields[parent]); err != nil {
		return t, err
	}
	if t.own, err = sumTicks(fields[utime : stime+1]); err != nil {
		return t, err
	}
	t.reaped, err = sumTicks(fields[cutime : cstime+1])
	return t, err
}
