//go:build amd64 || arm64

package confine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// group is one process's group in a hierarchy.
type group struct {
	*hostGroup
	dir string
}

func (c *hostGroup) newGroup(name string) (*group, error) {
	dir := filepath.Join(c.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	return &group{c, dir}, nil
}

func (g *group) has(controller string) bool { return slices.Contains(g.controllers, controller) }

func (g *group) write(file, value string) error { return writeFile(filepath.Join(g.dir, file), value) }

// writeFile writes to a file of a control group, without O_CREATE: the kernel makes the files.
func writeFile(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// setMemory limits memory; it may be called again.
func (g *group) setMemory(limit int64) error {
	text := strconv.FormatInt(limit, 10)
	if !g.v2 {
		return g.write("memory.limit_in_bytes", text)
	}
	if err := g.write("memory.oom.group", "1"); err != nil && !errors.Is(err, unix.ENOENT) {
		return err
	}
	return g.write("memory.max", text)
}

// setBoth changes version 1's limits of memory, and of memory with swap. The latter must not
// be below the former at any time, so the order depends on the direction.
func (g *group) setBoth(limit int64) error {
	err := g.setMemory(limit)
	if errors.Is(err, unix.EINVAL) {
		if _, err := g.setSwap(limit); err != nil {
			return err
		}
		return g.setMemory(limit)
	}
	if err != nil {
		return err
	}
	_, err = g.setSwap(limit)
	return err
}

// setSwap keeps the group out of swap, after setMemory.
func (g *group) setSwap(limit int64) (string, error) {
	if g.v2 {
		return "none", g.write("memory.swap.max", "0")
	}
	err := g.write("memory.memsw.limit_in_bytes", strconv.FormatInt(limit, 10))
	if errors.Is(err, unix.ENOENT) { // the kernel does not account for swap
		return "swappiness 0", g.write("memory.swappiness", "0")
	}
	return "none", err
}

func (g *group) setTasks(n int) error { return g.write("pids.max", strconv.Itoa(n)) }

// cpuPeriod is the period over which processor time is limited, in microseconds.
const cpuPeriod = 100_000

func (g *group) setCPUs(n float64) error {
	quota := strconv.FormatInt(max(int64(n*cpuPeriod), 1000), 10) // the kernel's minimum is 1 ms
	if g.v2 {
		return g.write("cpu.max", quota+" "+strconv.Itoa(cpuPeriod))
	}
	if err := g.write("cpu.cfs_period_us", strconv.Itoa(cpuPeriod)); err != nil {
		return err
	}
	return g.write("cpu.cfs_quota_us", quota)
}

// setCores limits the processors; it may be called again.
func (g *group) setCores(cores []int) error {
	list := make([]string, len(cores))
	for i, core := range cores {
		list[i] = strconv.Itoa(core)
	}
	return g.write("cpuset.cpus", strings.Join(list, ","))
}

// usage adds the group's counts.
func (g *group) usage(u *Usage) error {
	var errs []error
	read := func(into *int64, file, key string) {
		n, err := readInt(filepath.Join(g.dir, file), key)
		*into += n
		errs = append(errs, err)
	}
	if g.has("memory") && g.v2 {
		read(&u.OOMKills, "memory.events", "oom_kill")
		// Since Linux 5.19.
		if n, err := readInt(filepath.Join(g.dir, "memory.peak"), ""); err == nil {
			u.PeakBytes = n
		}
	} else if g.has("memory") {
		read(&u.OOMKills, "memory.oom_control", "oom_kill")
		read(&u.PeakBytes, "memory.max_usage_in_bytes", "")
	}
	if g.has("pids") {
		read(&u.TasksRefused, "pids.events", "max")
	}
	return errors.Join(errs...)
}

// killTimeout bounds how long killed processes may take to end: milliseconds, unless the
// kernel hangs.
const killTimeout = 10 * time.Second

// retry calls f with growing pauses until it returns true, and false if it does not within
// killTimeout.
func retry(f func() bool) bool {
	for end, wait := time.Now().Add(killTimeout), 100*time.Microsecond; !f(); wait = min(2*wait, 10*time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(wait)
	}
	return true
}

// killGroup kills all processes in a group and returns when it is empty.
func killGroup(dir string, v2 bool) error {
	if v2 { // since Linux 5.14, all at once
		os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0)
	}
	// No process may start while the others are killed one by one. For a hierarchy without
	// pids, the one that has it was emptied first.
	os.WriteFile(filepath.Join(dir, "pids.max"), []byte("0"), 0)
	var pids []string
	var err error
	if !retry(func() bool {
		if pids, err = pidsIn(dir); err != nil {
			return true
		}
		for _, p := range pids {
			if pid, err := strconv.Atoi(p); err == nil && pid > 0 {
				killIf(pid, func() bool {
					now, _ := pidsIn(dir)
					return slices.Contains(now, p)
				})
			}
		}
		return len(pids) == 0
	}) {
		return fmt.Errorf("%d processes in %s do not end: %v", len(pids), dir, pids)
	}
	return ignoreGone(err)
}

// pidsIn lists the processes in a group.
func pidsIn(dir string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	return strings.Fields(string(text)), err
}

// removeGroup kills the processes in a group and removes it.
func removeGroup(dir string, v2 bool) error {
	if err := killGroup(dir, v2); err != nil {
		return err
	}
	// A process that has just ended may be counted for a moment.
	var err error
	retry(func() bool {
		err = ignoreGone(unix.Rmdir(dir))
		return !errors.Is(err, unix.EBUSY)
	})
	if err != nil {
		return fmt.Errorf("removing %s: %w", dir, err)
	}
	return nil
}
