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

	"golang.org/x/sys/unix"
)

// controllers are the controllers of the limits.
var controllers = []string{"memory", "pids", "cpu", "cpuset"}

// hierarchy is a mounted tree of control groups.
type hierarchy struct {
	v2          bool
	home        string   // the group of this process
	bases       []string // folders to make groups in, best first
	controllers []string
}

// findHierarchies finds the mounted hierarchies. A controller is in one hierarchy only; the
// hierarchy of version 2 also counts without controllers of ours.
func findHierarchies(mountinfo []mount, own string) []hierarchy {
	paths := map[string]string{} // of this process's groups, by controller; "" for version 2
	for _, line := range strings.Split(own, "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		for _, name := range strings.Split(parts[1], ",") {
			paths[name] = parts[2]
		}
	}
	var found []hierarchy
	var taken []string
	for _, m := range mountinfo {
		h := hierarchy{v2: m.fstype == "cgroup2"}
		key := ""
		switch m.fstype {
		case "cgroup2":
			text, _ := os.ReadFile(filepath.Join(m.point, "cgroup.controllers"))
			h.controllers = strings.Fields(string(text))
		case "cgroup":
			h.controllers = m.options
		}
		h.controllers = slices.DeleteFunc(slices.Clone(h.controllers), func(c string) bool {
			return !slices.Contains(controllers, c) || slices.Contains(taken, c)
		})
		if len(h.controllers) == 0 && (!h.v2 || slices.ContainsFunc(found, func(f hierarchy) bool { return f.v2 })) {
			continue
		}
		if !h.v2 {
			key = h.controllers[0]
		}
		taken = append(taken, h.controllers...)
		h.home, h.bases = m.point, []string{m.point}
		if p := paths[key]; within(p, m.root) {
			rel, _ := filepath.Rel(m.root, p)
			if base := filepath.Join(m.point, rel); base != m.point {
				h.home, h.bases = base, []string{base, m.point}
			}
		}
		found = append(found, h)
	}
	// The hierarchy with pids first: killGroup sets its limit, so that nothing new starts.
	slices.SortStableFunc(found, func(a, b hierarchy) int {
		return strings.Compare(b.first(), a.first())
	})
	return found
}

// first is the controller to sort by: pids before the others.
func (h hierarchy) first() string {
	if len(h.controllers) == 0 {
		return ""
	}
	return slices.Max(h.controllers)
}

// hostGroup is a Host's own group in a hierarchy; the groups of its processes are below it.
type hostGroup struct {
	hierarchy
	dir string
}

// newHostGroup makes a Host's group, in the first of the bases that allows it.
func newHostGroup(h hierarchy, j *journal) (*hostGroup, error) {
	var errs []error
	for _, base := range h.bases {
		c, err := hostGroupAt(h, base, j)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func hostGroupAt(h hierarchy, base string, j *journal) (*hostGroup, error) {
	dir, kind := filepath.Join(base, j.name), groupKind
	if h.v2 {
		kind = group2Kind
		if err := delegate(base, h.controllers); err != nil {
			return nil, err
		}
	}
	if err := j.record(kind, dir); err != nil {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	if h.v2 {
		if err := delegate(dir, h.controllers); err != nil {
			os.Remove(dir)
			return nil, err
		}
	}
	if !h.v2 && slices.Contains(h.controllers, "cpuset") {
		if err := inheritCores(base, dir); err != nil {
			os.Remove(dir)
			return nil, err
		}
	}
	return &hostGroup{h, dir}, nil
}

// inheritCores gives a group the processors and the memory of the one that it is in, and
// so those below it: with version 1 they have none until they are given some.
func inheritCores(base, dir string) error {
	for _, what := range []string{"cpus", "mems"} {
		text, err := os.ReadFile(filepath.Join(base, "cpuset.effective_"+what))
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(text)) == "" {
			return fmt.Errorf("the group %s has no processors for those below it: fill its cpuset.cpus and cpuset.mems", base)
		}
		if err := writeFile(filepath.Join(dir, "cpuset."+what), string(text)); err != nil {
			return err
		}
	}
	return writeFile(filepath.Join(dir, "cgroup.clone_children"), "1")
}

// delegate enables controllers for the groups below dir.
func delegate(dir string, wanted []string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	have := strings.Fields(string(text))
	for _, c := range wanted {
		if slices.Contains(have, c) {
			continue
		}
		if err := os.WriteFile(file, []byte("+"+c), 0); err != nil {
			if errors.Is(err, unix.EBUSY) {
				return fmt.Errorf("%w: this group has processes, so that it cannot have groups with limits; start the supervisor with systemd-run -p Delegate=yes in a group whose parent is free, or name a group in HostConfig.Cgroup", err)
			}
			return err
		}
	}
	return nil
}

// removeTree kills the processes in a Host's group and removes it with the groups below.
func removeTree(dir string, v2 bool) error {
	groups, err := filepath.Glob(filepath.Join(dir, "*", "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, procs := range groups {
		if err := removeGroup(filepath.Dir(procs), v2); err != nil {
			return err
		}
	}
	return removeGroup(dir, v2)
}

func ignoreGone(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// readInt reads a file with one number, or the number after a key.
func readInt(file, key string) (int64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		fields := strings.Fields(line)
		switch {
		case key == "" && len(fields) == 1:
			return strconv.ParseInt(fields[0], 10, 64)
		case key != "" && len(fields) == 2 && fields[0] == key:
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s has no %q", file, key)
}

// ownGroups are the groups of this thread. Those of the process, in /proc/self, are those of
// its first thread, which may just be starting a process, and be in the groups of that.
func ownGroups() (string, error) {
	text, err := os.ReadFile("/proc/thread-self/cgroup")
	if err != nil {
		return "", fmt.Errorf("reading this process's groups: %w", err)
	}
	return string(text), nil
}
