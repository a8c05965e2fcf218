//go:build amd64 || arm64

package confine

import (
	"encoding/json"
	"fmt"
	"os"
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
// the environment. If there is none, the error wraps ErrNoHost. With Policy.Verbs it
// restarts the program: call it first.
func Inherited() (Policy, error) {
	h, err := inheritance()
	if err == nil && h.Policy.Verbs && !h.Restarted {
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
	if err := os.Setenv(handoverName, string(text)); err != nil {
		return err
	}
	return fmt.Errorf("%w: restarting the program: %w", ErrNotConfined, unix.Exec(ownProgram, os.Args, os.Environ()))
}

var enterOnce sync.Once

// Enter confines this process with all its threads, existing and new. The policy is that of
// Inherited, perhaps with paths added. A process that no Host has started can call it, too,
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
	}
	r.apply(p, NoCore, func() (string, error) {
		if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
			return "", err
		}
		return "", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	})
	r.apply(p, Seccomp, func() (string, error) { return filterSyscalls(p, r.Applied(UID)) })
	return r, r.missing(p, entered)
}

// restrict applies the measures that persist when a program is executed.
func (h *handover) restrict(p *Policy) (Report, error) {
	r := h.Report
	h.verify(&r)
	if err := r.missing(p, prepared); err != nil {
		return r, err
	}
	for _, path := range slices.Concat(p.ReadPaths, p.WritePaths) {
		if _, err := os.Stat(path); err != nil {
			return r, fmt.Errorf("%w: a path of the policy (for user %d, who has the rights there that others have): %w", ErrNotConfined, os.Getuid(), err)
		}
	}
	if h.Namespaces {
		// Not optional: everything about threads reads /proc.
		if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
			return r, fmt.Errorf("%w: a /proc for the namespace: %w: add Namespaces to Policy.Without", ErrNotConfined, err)
		}
	}
	tmp := h.Tmp
	r.apply(p, PrivateTmp, func() (string, error) {
		switch {
		case h.Namespaces:
			tmp = "/tmp"
			return fmt.Sprintf("a file system of %d bytes", p.TmpBytes), mountTmp(p)
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
	r.apply(p, Landlock, func() (string, error) { return restrictFiles(p, tmp) })
	return r, nil
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
		for _, m := range []Measure{MemoryLimit, SwapLimit, TaskLimit, CPULimit, Egress} {
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
