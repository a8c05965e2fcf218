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

// Bounded reports whether the kernel enforces all the limits that Excess checks.
func (p *Process) Bounded() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.unbounded() == unbounded{}
}

// unbounded are the limits that the kernel does not enforce.
type unbounded struct{ memory, tasks, tmp bool }

// unbounded are those of the process. p.mu is held.
func (p *Process) unbounded() unbounded {
	return unbounded{
		memory: p.memory > 0 && !p.report.Applied(MemoryLimit),
		tasks:  p.policy.Tasks > 0 && !p.report.Applied(TaskLimit),
		tmp:    p.policy.TmpBytes > 0 && p.tmp != "",
	}
}

// Excess returns a limit that the process exceeds, and by what, among those that the kernel
// does not enforce here: without control groups, shared memory and threads; without a file
// system of its own, temporary files. Both are empty if there is none. Call it often, and
// kill the process: between two calls it can exceed its limits.
//
// shared is how many bytes of the supervisor's memory the process has mapped or open, such as
// its code; they do not count. Memory files that are not mapped, and deleted files, are seen
// only with the right to inspect the process: by root, or the creator of its namespaces.
func (p *Process) Excess(shared int64) (of Measure, what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cmd.Process == nil {
		return "", ""
	}
	watched := p.unbounded()
	status := procStatus(p.cmd.Process.Pid)
	memoryFiles, deleted := openFiles(p.cmd.Process.Pid, p.tmp)
	// The resource limit bounds memory that is not shared.
	if n := max(number(status["RssShmem"]), memoryFiles) - shared; watched.memory && n > p.memory {
		return MemoryLimit, fmt.Sprintf("%d bytes of shared memory, of %d", n, p.memory)
	}
	if n := number(status["Threads"]); watched.tasks && n > int64(p.policy.Tasks) {
		return TaskLimit, fmt.Sprintf("%d threads, of %d", n, p.policy.Tasks)
	}
	if watched.tmp {
		if n := deleted + folderBytes(p.tmp); n > p.policy.TmpBytes {
			return PrivateTmp, fmt.Sprintf("%d bytes of temporary files, of %d", n, p.policy.TmpBytes)
		}
	}
	return "", ""
}

// procStatus are the fields of /proc/PID/status, none if the process has ended.
func procStatus(pid int) map[string][]string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	fields := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		name, values, _ := strings.Cut(line, ":")
		fields[name] = strings.Fields(values)
	}
	return fields
}

// number is the first value of a field, in bytes if it is a size; -1 if there is none.
func number(values []string) int64 {
	if len(values) == 0 {
		return -1
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return -1
	}
	if len(values) == 2 && values[1] == "kB" {
		n <<= 10
	}
	return n
}

// openFiles is how many bytes a process has in open memory files, and in open but deleted
// files of a folder.
func openFiles(pid int, folder string) (memory, deleted int64) {
	fds := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(fds)
	if err != nil {
		return 0, 0 // this process may not see them
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

// folderBytes is how many bytes the files of a folder occupy.
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
