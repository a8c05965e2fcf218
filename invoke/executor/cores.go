package executor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// AnyCore leaves the choice of a processor to the kernel.
const AnyCore = -1

// AllowedCores lists the processors that this process may use, in the order in
// which workers should take them: one of each core first, then the further
// hardware threads of the same cores.
func AllowedCores() ([]int, error) {
	var set unix.CPUSet
	// Of the calling thread: threads that are pinned only start their executors.
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("asking which processors are allowed: %w", err)
	}
	var allowed []int
	for n := range len(set) * 64 {
		if set.IsSet(n) {
			allowed = append(allowed, n)
		}
	}
	return siblingsLast(os.DirFS("/sys"), allowed), nil
}

// siblingsLast orders processors so that those that share a core with an earlier
// one come last. sys is the file system mounted at /sys; a processor that it does
// not describe counts as a core.
func siblingsLast(sys fs.FS, processors []int) []int {
	rank := map[int]int{}
	seen := map[string]int{} // hardware threads of a core so far
	for _, n := range processors {
		core := fmt.Sprintf("processor %d", n)
		name := path.Join("devices/system/cpu", fmt.Sprintf("cpu%d", n), "topology/thread_siblings_list")
		if text, err := fs.ReadFile(sys, name); err == nil {
			core = strings.TrimSpace(string(text))
		}
		rank[n] = seen[core]
		seen[core]++
	}
	ordered := slices.Clone(processors)
	slices.SortStableFunc(ordered, func(a, b int) int { return rank[a] - rank[b] })
	return ordered
}

// Place chooses processors for n workers with so many threads each, one for a thread, those
// of the first worker first. One is left for the client, unless workers have several threads:
// they compute while it waits. If there are too few, no worker is pinned: a pinned worker would
// wait for the client, or for another worker, while a processor is idle. note says why.
func Place(n, threads int, allowed []int) (cores []int, note string) {
	all := n * threads
	cores = slices.Repeat([]int{AnyCore}, all)
	if len(allowed) > all || len(allowed) == all && threads > 1 {
		copy(cores, allowed)
		return cores, ""
	}
	if threads > 1 {
		return cores, fmt.Sprintf("workers are not pinned: %s for %s of %d threads", count(len(allowed), "core"), count(n, "worker"), threads)
	}
	return cores, fmt.Sprintf("workers are not pinned: %s for %s and the client", count(len(allowed), "core"), count(n, "worker"))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// On returns the Cores of an Order that is to run on one core, or on any for AnyCore.
func On(core int) []int {
	if core == AnyCore {
		return nil
	}
	return []int{core}
}

// setOf converts processors to the kernel's form.
func setOf(cores []int) *unix.CPUSet {
	set := &unix.CPUSet{}
	for _, core := range cores {
		set.Set(core)
	}
	return set
}

// pinProcess restricts all threads of a process to processors. A new thread inherits the
// affinity of its creator, so it repeats until it finds no new thread.
func pinProcess(pid int, cores []int) error {
	set := setOf(cores)
	for pinned := map[string]bool{}; ; {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return fmt.Errorf("pinning process %d: %w", pid, err)
		}
		more := false
		for _, t := range tasks {
			if pinned[t.Name()] {
				continue
			}
			more = true
			tid, err := strconv.Atoi(t.Name())
			if err == nil {
				err = unix.SchedSetaffinity(tid, set)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("pinning thread %s of process %d to cores %v: %w", t.Name(), pid, cores, err)
			}
			pinned[t.Name()] = true
		}
		if !more {
			return nil
		}
	}
}

// pinThread restricts the calling thread to processors, if there are any.
func pinThread(cores []int) error {
	if len(cores) == 0 {
		return nil
	}
	if err := unix.SchedSetaffinity(0, setOf(cores)); err != nil {
		return fmt.Errorf("pinning to cores %v: %w", cores, err)
	}
	return nil
}
