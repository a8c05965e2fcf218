//go:build amd64 || arm64

package confine

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// stackBytes is added to a memory limit that counts writable address space: stacks of C
// threads are reserved in full.
const stackBytes = 512 << 20

func dataLimit(memory int64) uint64 { return uint64(memory) + stackBytes }

const (
	separator = ", "
	dataName  = separator + "data " // the last one in a report
)

// setLimits sets resource limits. Not of address space: Go reserves more than any useful limit.
func setLimits(p *Policy, ownUID, memoryGroup bool) (string, error) {
	var tasks, data uint64
	if ownUID { // the kernel counts all tasks of the user
		tasks = uint64(p.Tasks)
	}
	if !memoryGroup && p.MemoryBytes > 0 {
		data = dataLimit(p.MemoryBytes)
	}
	done := ""
	for _, l := range []struct {
		name     string
		resource int
		value    uint64 // 0: none
	}{
		{"files", unix.RLIMIT_NOFILE, uint64(p.OpenFiles)},
		{"file size", unix.RLIMIT_FSIZE, uint64(p.FileBytes)},
		{"locked memory", unix.RLIMIT_MEMLOCK, uint64(p.LockedBytes)},
		{"tasks", unix.RLIMIT_NPROC, tasks},
		{"data", unix.RLIMIT_DATA, data},
	} {
		if l.value == 0 {
			continue
		}
		var now unix.Rlimit
		err := unix.Getrlimit(l.resource, &now)
		value := min(l.value, now.Max) // to raise a hard limit takes a privilege
		if err == nil {
			err = unix.Setrlimit(l.resource, &unix.Rlimit{Cur: value, Max: value})
		}
		if err != nil {
			return "", fmt.Errorf("%s: %w", l.name, err)
		}
		done += fmt.Sprintf("%s%s %d", separator, l.name, value)
	}
	return strings.TrimPrefix(done, separator), nil
}
