//go:build amd64 || arm64

package confine

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Bounded says whether the kernel bounds all that Excess looks at.
func (p *Process) Bounded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unbounded() == unbounded{}
}

// unbounded says what has a limit that the kernel does not keep.
type unbounded struct{ memory, tasks, tmp bool }

// unbounded is that of the process. p.mu is held.
func (p *Process) unbounded() unbounded {
	return unbounded{
		memory: p.memory > 0 && !p.report.Applied(MemoryLimit),
		tasks:  p.policy.Tasks > 0 && !p.report.Applied(TaskLimit),
		tmp:    p.policy.TmpBytes > 0 && p.tmp != "",
	}
}

// Excess says of what the process has more now than its policy allows, where the kernel
// does not see to that: without control groups, of shared memory and threads; without a file
// system of its own, of temporary files. Empty if there is nothing. For somebody who
// looks often, and ends the process: between two looks it can take what it gets.
//
// shared is memory of others that the process has mapped or open, such as its code; it does
// not count. Memory files that are not mapped, and deleted ones, are seen only by who may
// look into the process: root, or whoever made its namespaces. of is the measure that is
// missing.
func (p *Process) Excess(shared int64) (of Measure, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cmd.Process == nil {
		return "", ""
	}
	watched := p.unbounded()
	status := procStatus(p.cmd.Process.Pid)
	memoryFiles, deleted := openFiles(p.cmd.Process.Pid, p.tmp)
	// The resource limit sees to memory that is not shared.
	if n := max(status["RssShmem"], memoryFiles) - shared; watched.memory && n > p.memory {
		return MemoryLimit, fmt.Sprintf("%d bytes of shared memory, of %d", n, p.memory)
	}
	if n := status["Threads"]; watched.tasks && n > int64(p.policy.Tasks) {
		return TaskLimit, fmt.Sprintf("%d threads, of %d", n, p.policy.Tasks)
	}
	if watched.tmp {
		if n := deleted + folderBytes(p.tmp); n > p.policy.TmpBytes {
			return PrivateTmp, fmt.Sprintf("%d bytes of temporary files, of %d", n, p.policy.TmpBytes)
		}
	}
	return "", ""
}

// procStatus are the numbers of /proc/PID/status, sizes in bytes.
func procStatus(pid int) map[string]int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil // it has ended
	}
	numbers := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			if unit == "kB" {
				n <<= 10
			}
			numbers[name] = n
		}
	}
	return numbers
}

// openFiles is what a process has in memory files that it has open, and in files of a
// folder that it has deleted.
func openFiles(pid int, folder string) (memory, deleted int64) {
	fds := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(fds)
	if err != nil {
		return 0, 0 // it is not for us to see
	}
	seen := map[uint64]bool{}
	for _, e := range entries {
		path := filepath.Join(fds, e.Name())
		target, err := os.Readlink(path)
		if err != nil || !strings.HasSuffix(target, " (deleted)") {
			continue
		}
		var st syscall.Stat_t
		if syscall.Stat(path, &st) != nil || seen[st.Ino] {
			continue
		}
		seen[st.Ino] = true
		switch {
		case strings.HasPrefix(target, "/memfd:"):
			memory += st.Blocks * 512
		case folder != "" && within(target, folder):
			deleted += st.Blocks * 512
		}
	}
	return memory, deleted
}

// folderBytes is what the files of a folder take.
func folderBytes(folder string) (n int64) {
	filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				n += st.Blocks * 512
			}
		}
		return nil
	})
	return n
}
