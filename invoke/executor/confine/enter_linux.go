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

// inheritance is what the Host has said, read once.
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

// Inherited is the policy that the Host was given for this process. It takes it out
// of the environment. An error wraps ErrNoHost if there is none. With Policy.Verbs,
// this is where the program is started anew: call it first.
func Inherited() (Policy, error) {
	h, err := inheritance()
	if err == nil && h.Policy.Verbs && !h.Anew {
		err = h.startAnew()
	}
	if err != nil {
		return Policy{}, fmt.Errorf("confine: %w", err)
	}
	return h.Policy, nil
}

// startAnew takes the measures that change credentials, and returns only with an error.
func (h *handover) startAnew() error {
	var err error
	if h.Report, err = h.restrict(&h.Policy); err != nil {
		return err
	}
	h.Anew = true
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := os.Setenv(handoverName, string(text)); err != nil {
		return err
	}
	return fmt.Errorf("%w: starting the program anew: %w", ErrNotConfined, unix.Exec(ownProgram, os.Args, os.Environ()))
}

var enterOnce sync.Once

// Enter confines this process, all its threads and those to come. The policy is
// that of Inherited, with paths added, say. A process that no Host has started can
// do it, too; the measures of a Host are then not applied.
//
// What it needs and could not open afterwards has to be open: devices, sockets,
// files outside of the paths. It can be done once, and not be undone. After an error,
// which names the required measures that failed and wraps ErrNotConfined, the process
// may be half confined: it has to end.
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
	case !h.Anew:
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

// restrict takes the measures that outlive the start of a program.
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
		// Whatever has to do with threads looks into /proc, so it is no matter of choice.
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
			return tmp + ", without a bound", nil
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

// verify looks whether the process is where its Host says.
func (h *handover) verify(r *Report) {
	if r.Applied(UID) && (os.Getuid() != h.UID || os.Geteuid() != h.UID || h.UID == 0) {
		r.note(UID, "", fmt.Errorf("it is %d, and was to be %d", os.Getuid(), h.UID))
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

// inGroups says whether as many of the groups in a text of /proc/PID/cgroup as there
// are in wanted end in them.
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
