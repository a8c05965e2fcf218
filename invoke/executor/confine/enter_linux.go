//go:build amd64 || arm64

package confine

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// inheritance is what the Host has passed, read once.
var inheritance = sync.OnceValues(func() (*handover, error) {
	text, ok := os.LookupEnv(handoverName)
	if !ok {
		return nil, ErrNoHost
	}
	os.Unsetenv(handoverName)
	h := new(handover)
	if err := json.Unmarshal([]byte(text), h); err != nil {
		return nil, fmt.Errorf("environment variable %s: %w", handoverName, err)
	}
	return h, nil
})

// Inherited returns the policy that the Host has passed to this process, and removes it from
// the environment. If there is none, the error wraps ErrNoHost. With Policy.Verbs,
// or variables of the environment that are ForLoader, it restarts the program: call it
// first.
func Inherited() (Policy, error) {
	h, err := inheritance()
	if err == nil && h.Policy.restarts() && !h.Restarted {
		err = h.restart()
	}
	if err != nil {
		return Policy{}, fmt.Errorf("confine: %w", err)
	}
	return h.Policy, nil
}

// restart applies the measures that change credentials, and executes the program again. It
// returns only with an error.
func (h *handover) restart() error {
	var err error
	if h.Report, err = h.restrict(&h.Policy); err != nil {
		return err
	}
	h.Restarted = true
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	env := append(h.Policy.loaderEnv(), handoverName+"="+string(text))
	return fmt.Errorf("%w: restarting the program: %w", ErrNotConfined, unix.Exec(ownProgram, os.Args, append(os.Environ(), env...)))
}

var enterOnce sync.Once

// Enter confines this process with all its threads, existing and new. The policy is that of
// Inherited. A process that no Host has started can call it, too,
// and lacks only a Host's measures.
//
// What the process needs and could not open afterwards has to be open: devices, sockets,
// files outside of the policy's paths. Enter works once, and cannot be undone. An error names
// the required measures that failed and wraps ErrNotConfined. The process may then be
// partly confined, and has to end.
func Enter(p Policy) (Report, error) {
	err := fmt.Errorf("%w: Enter was called before", ErrNotConfined)
	r := Report{}
	enterOnce.Do(func() { r, err = enter(&p) })
	return r, err
}

func enter(p *Policy) (Report, error) {
	h, err := inheritance()
	var r Report
	switch {
	case err != nil:
		for _, m := range prepared {
			r.note(m, "", err)
		}
		h = &handover{Report: r}
		fallthrough
	case !h.Restarted:
		if r, err = h.restrict(p); err != nil {
			return r, err
		}
	default:
		r = h.Report
		pin(slices.Concat(ownFigurePaths(), kernelFigures))
	}
	r.apply(p, NoCore, func() (string, error) {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return "", err
		}
		return "", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	})
	r.apply(p, Seccomp, func() (string, error) { return filterSyscalls(p, r.Applied(UID), h.Namespaces) })
	if err := r.missing(p, entered); err != nil || p.Folder == "" {
		return r, err
	}
	if err := os.Chdir(h.visible(p, len(p.Paths))); err != nil {
		return r, fmt.Errorf("%w: the folder of the policy: %w", ErrNotConfined, err)
	}
	return r, nil
}

// restrict applies the measures that persist when a program is executed.
func (h *handover) restrict(p *Policy) (Report, error) {
	r := h.Report
	h.verify(&r)
	if err := r.missing(p, prepared); err != nil {
		return r, err
	}
	if err := h.checkPaths(p); err != nil {
		return r, fmt.Errorf("%w: %w", ErrNotConfined, err)
	}
	if p.Programs && !h.Namespaces {
		return r, fmt.Errorf("%w: to start programs takes namespaces (%s)", ErrNotConfined, r.Detail(Namespaces))
	}
	tmp := h.Tmp
	if h.Namespaces {
		if err := h.buildRoot(p); err != nil {
			return r, fmt.Errorf("%w: a root directory of its own: %w; add Namespaces to Policy.Without", ErrNotConfined, err)
		}
		tmp = tmpFolder
	}
	r.apply(p, PrivateTmp, func() (string, error) {
		switch {
		case h.Namespaces:
			return fmt.Sprintf("a file system of %d bytes", p.TmpBytes), nil
		case tmp != "":
			return tmp + ", not limited", nil
		}
		return "", ErrNoHost
	})
	r.apply(p, OOMScore, func() (string, error) {
		return "1000", os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
	})
	r.apply(p, ResourceLimit, func() (string, error) { return setLimits(p, h.UID > 0, r.Applied(MemoryLimit)) })
	r.apply(p, NoPrivileges, dropPrivileges)
	r.apply(p, Landlock, func() (string, error) { return h.restrictFiles(p, tmp) })
	return r, nil
}

// checkPaths says which path of the policy the process cannot have.
func (h *handover) checkPaths(p *Policy) error {
	for i, path := range p.paths() {
		if h.tree(i) > 0 {
			continue // the supervisor has opened it
		}
		if _, err := os.Stat(path.Host); err != nil {
			return fmt.Errorf("a path of the policy (for user %d, who has the rights there that others have): %w", os.Getuid(), err)
		}
		if !h.Namespaces && !path.Anywhere && path.guest() != filepath.Clean(path.Host) {
			return fmt.Errorf("%s as %s: only a process with namespaces of its own can have another name for a path (%s); leave the name out", path.Host, path.Guest, h.Report.Detail(Namespaces))
		}
	}
	return nil
}

// tree is the descriptor of what the supervisor has opened for the i-th path of the policy, 0
// if it has not.
func (h *handover) tree(i int) int {
	if i < len(h.Trees) {
		return h.Trees[i]
	}
	return 0
}

// visible is where the process sees the i-th path of the policy.
func (h *handover) visible(p *Policy, i int) string {
	path := p.paths()[i]
	switch fd := h.tree(i); {
	case h.Namespaces:
		return path.guest()
	case fd > 0:
		return fmt.Sprintf("/proc/self/fd/%d", fd)
	}
	return path.Host
}

// Where returns where this process, after Enter, sees a path of the policy that it has
// inherited, or its Folder, by the name on the machine: that name, or another.
func Where(host string) string {
	if h, err := inheritance(); err == nil {
		for i, path := range h.Policy.paths() {
			if path.Host == host {
				return h.visible(&h.Policy, i)
			}
		}
	}
	return host
}

// ownFigurePaths are those of this process.
func ownFigurePaths() []string {
	var paths []string
	for _, name := range slices.Concat(ownFigures, ownFigureFolders) {
		paths = append(paths, filepath.Join("/proc/self", name))
	}
	return paths
}

// verify checks that the process is what its Host prepared.
func (h *handover) verify(r *Report) {
	if r.Applied(UID) && (os.Getuid() != h.UID || os.Geteuid() != h.UID || h.UID == 0) {
		r.note(UID, "", fmt.Errorf("it is %d instead of %d", os.Getuid(), h.UID))
	}
	own, err := ownGroups()
	if err == nil && !inGroups(own, h.Groups) {
		err = fmt.Errorf("the process is not in its control groups %v, but in %q", h.Groups, own)
	}
	if err != nil {
		for _, m := range []Measure{MemoryLimit, SwapLimit, TaskLimit, CPULimit, CoreLimit, Egress} {
			if r.Applied(m) {
				r.note(m, "", err)
			}
		}
	}
	if r.Applied(Egress) {
		if err := testEgress(); err != nil {
			r.note(Egress, "", err)
		}
	}
}

// inGroups reports whether a text of /proc/PID/cgroup has the groups that are wanted, by the
// ends of their paths.
func inGroups(own string, wanted []string) bool {
	n := 0
	for _, line := range strings.Split(own, "\n") {
		for _, w := range wanted {
			if strings.HasSuffix(line, w) {
				n++
				break
			}
		}
	}
	return n >= len(wanted)
}
