//go:build amd64 || arm64

package confine

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// stackBytes is added to a limit of memory that has to be one of address space that
// can be written: stacks of C threads, reserved in full.
const stackBytes = 512 << 20

func dataLimit(memory int64) uint64 { return uint64(memory) + stackBytes }

const (
	separator = ", "
	dataName  = separator + "data " // the last of a report's
)

// setLimits sets resource limits. Not that of address space: Go reserves more than
// any useful one.
func setLimits(p *Policy, ownUID, memoryGroup bool) (string, error) {
	done := ""
	set := func(name string, resource int, value uint64) error {
		if value == 0 {
			return nil
		}
		var now unix.Rlimit
		if err := unix.Getrlimit(resource, &now); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		// Raising the hard limit takes a privilege, and is not what this is for.
		value = min(value, now.Max)
		if err := unix.Setrlimit(resource, &unix.Rlimit{Cur: value, Max: value}); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		done += fmt.Sprintf("%s%s %d", separator, name, value)
		return nil
	}
	if err := set("files", unix.RLIMIT_NOFILE, uint64(p.OpenFiles)); err != nil {
		return "", err
	}
	if err := set("file size", unix.RLIMIT_FSIZE, uint64(p.FileBytes)); err != nil {
		return "", err
	}
	if err := set("locked memory", unix.RLIMIT_MEMLOCK, uint64(p.LockedBytes)); err != nil {
		return "", err
	}
	if ownUID { // it counts those of the user, wherever they come from
		if err := set("tasks", unix.RLIMIT_NPROC, uint64(p.Tasks)); err != nil {
			return "", err
		}
	}
	if !memoryGroup && p.MemoryBytes > 0 {
		if err := set("data", unix.RLIMIT_DATA, dataLimit(p.MemoryBytes)); err != nil {
			return "", err
		}
	}
	return strings.TrimPrefix(done, separator), nil
}
