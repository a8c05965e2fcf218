//go:build amd64 || arm64

package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is a process that a Host has prepared. Call Start and Close once; the other
// methods may be called concurrently.
type Process struct {
	host   *Host
	cmd    *exec.Cmd
	policy Policy
	report Report
	tmp    string
	egress *egress    // nil if packets are not filtered
	opened []*os.File // for the process, until it was started

	mu     sync.Mutex // against Close
	uid    *uidLease
	groups []*group
	closed bool
	usage  Usage
	memory int64 // the limit
}

// handover is what the Host passes to a process, in its environment.
type handover struct {
	Policy     Policy
	Report     Report
	Groups     []string // the ends of the paths of its control groups
	UID        int      // 0: as the supervisor
	Namespaces bool
	Tmp        string // folder for temporary files; "": a file system of its own at /tmp, or none
	Restarted  bool   // the program was restarted, see Policy.restarts, and the Report is final
	Trees      []int  // descriptors of the policy's paths; 0 where there is none
}

// handoverName is the environment variable.
const handoverName = "RFAAS_CONFINE"

// Prepare prepares a process: it changes cmd's environment, folder, ExtraFiles and
// SysProcAttr, and creates control groups. Close releases them, whether the process was
// started or not. If a
// required measure of the supervisor's side cannot be applied, the error wraps
// ErrNotConfined.
//
// The process has to be able to execute cmd.Path with its own user id. For this program,
// use /proc/self/exe.
func (h *Host) Prepare(cmd *exec.Cmd, policy Policy) (*Process, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := &Process{host: h, cmd: cmd, policy: policy, memory: policy.MemoryBytes}
	if err := p.prepare(); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Process) prepare() error {
	attr := &syscall.SysProcAttr{}
	if p.cmd.SysProcAttr != nil {
		*attr = *p.cmd.SysProcAttr
	}
	p.cmd.SysProcAttr = attr
	name := p.host.nextName()
	over := handover{Policy: p.policy}

	p.report.apply(&p.policy, UID, func() (string, error) {
		if p.host.noUIDs != nil {
			return "", p.host.noUIDs
		}
		var err error
		if p.uid, err = p.host.pool.take(); err != nil {
			return "", err
		}
		over.UID = p.uid.uid
		attr.Credential = credential(over.UID)
		return fmt.Sprint(over.UID), nil
	})
	p.report.apply(&p.policy, Namespaces, func() (string, error) {
		if isRoot() && over.UID == 0 {
			return "", errors.New("root keeps its uid, for which namespaces mean little")
		}
		if err := p.host.namespaces(over.UID); err != nil {
			return "", err
		}
		addNamespaces(attr, over.UID)
		over.Namespaces = true
		return "user, mount, pid, ipc", nil
	})
	if err := p.makeGroups(name, &over); err != nil {
		return err
	}
	p.report.apply(&p.policy, Environment, func() (string, error) { return fmt.Sprintf("%d variables", len(p.policy.Env)), nil })
	p.report.apply(&p.policy, Descriptors, func() (string, error) { return "", closeOnExec() })
	p.report.apply(&p.policy, Session, func() (string, error) {
		attr.Setsid, attr.Setpgid, attr.Setctty, attr.Foreground = true, false, false, false
		return "", nil
	})
	p.report.apply(&p.policy, ParentDeath, func() (string, error) {
		attr.Pdeathsig = syscall.SIGKILL
		return "killed", nil
	})
	if err := p.report.missing(&p.policy, prepared); err != nil {
		return err
	}

	if err := p.openPaths(&over); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	tmp := tmpFolder
	if !over.Namespaces && !p.policy.skips(PrivateTmp) {
		var err error
		if p.tmp, err = p.host.tmpFolder(name, over.UID); err != nil {
			return fmt.Errorf("confine: folder for temporary files: %w", err)
		}
		tmp, over.Tmp = p.tmp, p.tmp
	}
	over.Report = p.report
	text, err := json.Marshal(over)
	if err != nil {
		return fmt.Errorf("confine: policy: %w", err)
	}
	// What is for the loader is for code: the program gets it when it restarts, confined.
	env := slices.DeleteFunc(slices.Clone(p.policy.Env), ForLoader)
	if !p.policy.restarts() {
		env = append(env, p.policy.loaderEnv()...)
	}
	if p.policy.skips(Environment) {
		env = append(p.cmd.Environ(), env...)
	}
	p.cmd.Env = append(env, "TMPDIR="+tmp, "HOME="+tmp, handoverName+"="+string(text))
	if p.cmd.Dir == "" {
		p.cmd.Dir = "/"
	}
	return nil
}

// openPaths opens the policy's paths for a process with a user of its own, which may not
// reach them by their names.
func (p *Process) openPaths(over *handover) error {
	if over.UID == 0 {
		return nil
	}
	for i, path := range p.policy.paths() {
		fd, err := -1, error(unix.EPERM)
		if over.Namespaces {
			fd, err = openTree(path.Host, path.attributes())
		}
		if errors.Is(err, unix.EPERM) && path.folder { // the right to mount is missing, or it cannot mount either
			fd, err = unix.Open(path.Host, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		if errors.Is(err, unix.EPERM) {
			continue // perhaps the process can
		}
		if err != nil {
			return fmt.Errorf("a path of the policy: %w", &os.PathError{Op: "open", Path: path.Host, Err: err})
		}
		file := os.NewFile(uintptr(fd), path.Host)
		p.opened = append(p.opened, file)
		over.Trees = append(over.Trees, make([]int, i+1-len(over.Trees))...)
		const standard = 3
		over.Trees[i] = standard + len(p.cmd.ExtraFiles)
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, file)
	}
	return nil
}

// closeOpened closes what openPaths has opened.
func (p *Process) closeOpened() {
	for _, f := range p.opened {
		f.Close()
	}
	p.opened = nil
}

// makeGroups creates the control groups and sets their limits.
func (p *Process) makeGroups(name string, over *handover) error {
	limits := []struct {
		measure    Measure
		controller string
		wanted     bool
		set        func(*group) (string, error)
	}{
		{MemoryLimit, "memory", p.policy.MemoryBytes > 0, func(g *group) (string, error) {
			return fmt.Sprintf("%d bytes", p.policy.MemoryBytes), g.setMemory(p.policy.MemoryBytes)
		}},
		{SwapLimit, "memory", p.policy.MemoryBytes > 0, func(g *group) (string, error) { return g.setSwap(p.policy.MemoryBytes) }},
		{TaskLimit, "pids", p.policy.Tasks > 0, func(g *group) (string, error) {
			return fmt.Sprint(p.policy.Tasks), g.setTasks(p.policy.Tasks)
		}},
		{CPULimit, "cpu", p.policy.CPUs > 0, func(g *group) (string, error) {
			return fmt.Sprint(p.policy.CPUs), g.setCPUs(p.policy.CPUs)
		}},
		{CoreLimit, "cpuset", len(p.policy.Cores) > 0, func(g *group) (string, error) {
			return fmt.Sprint(p.policy.Cores), g.setCores(p.policy.Cores)
		}},
	}
	byController := map[string]*group{}
	lacking := map[string]error{}
	for _, c := range p.host.hostGroups {
		if len(c.controllers) == 0 {
			continue // see limitEgress
		}
		g, err := c.newGroup(name)
		if err == nil {
			p.groups = append(p.groups, g)
			over.Groups = append(over.Groups, filepath.Join("/", filepath.Base(c.dir), name))
		}
		for _, controller := range c.controllers {
			byController[controller], lacking[controller] = g, err
		}
	}
	for _, l := range limits {
		p.report.apply(&p.policy, l.measure, func() (string, error) {
			if err := errors.Join(p.host.lacking[l.controller], lacking[l.controller]); err != nil {
				return "", err
			}
			if !l.wanted {
				return "", errNotWanted
			}
			detail, err := l.set(byController[l.controller])
			if byController[l.controller].v2 {
				detail += ", cgroup v2"
			} else {
				detail += ", cgroup v1"
			}
			return detail, err
		})
	}
	p.report.apply(&p.policy, Egress, func() (string, error) { return p.limitEgress(name, over) })
	for _, g := range p.groups {
		if g.v2 {
			fd, err := unix.Open(g.dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return fmt.Errorf("confine: opening %s: %w", g.dir, err)
			}
			p.cmd.SysProcAttr.UseCgroupFD, p.cmd.SysProcAttr.CgroupFD = true, fd
		}
	}
	return nil
}

// closeOnExec keeps descriptors that this process was started with, or that libraries have
// opened, from processes that it starts. Go's own are closed anyway.
func closeOnExec() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err == nil {
		return nil
	}
	// Before Linux 5.11.
	entries, listErr := os.ReadDir("/proc/self/fd")
	if listErr != nil {
		return fmt.Errorf("closing descriptors: %w", errors.Join(err, listErr))
	}
	for _, e := range entries {
		fd := 0
		if _, err := fmt.Sscan(e.Name(), &fd); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// Start starts the process, instead of cmd.Start. It locks the calling goroutine to its
// thread for good. The kernel takes that thread's end for the supervisor's, so the goroutine
// has to live until the process has ended: let it call cmd.Wait. The process inherits the
// thread's affinity.
func (p *Process) Start() (err error) {
	runtime.LockOSThread()
	if err := closeOnExec(); err != nil && !p.policy.skips(Descriptors) {
		return err
	}
	defer p.closeFD()
	defer p.closeOpened()
	// With version 1, a process starts in the groups of the thread that starts it. A
	// thread that moves itself does not have to wait for the whole machine.
	var entered []*group
	defer func() {
		for _, g := range entered {
			if leave := writeFile(filepath.Join(g.home, "tasks"), "0"); leave != nil {
				err = errors.Join(err, fmt.Errorf("confine: this thread cannot leave %s: %w", g.dir, leave))
			}
		}
		if err != nil && p.cmd.Process != nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	}()
	for _, g := range p.groups {
		if g.v2 {
			continue
		}
		if err := g.write("tasks", "0"); err != nil {
			return fmt.Errorf("confine: entering %s: %w", g.dir, err)
		}
		entered = append(entered, g)
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("confine: starting %s (as user %d): %w", p.cmd.Path, p.UID(), err)
	}
	return nil
}

func (p *Process) closeFD() {
	if attr := p.cmd.SysProcAttr; attr != nil && attr.UseCgroupFD {
		unix.Close(attr.CgroupFD)
		attr.UseCgroupFD = false
	}
}

// UID is the process's own user id, or that of this process.
func (p *Process) UID() int {
	if p.uid == nil {
		return os.Geteuid()
	}
	return p.uid.uid
}

// Entered stores the report that Enter has returned in the process. What the process
// reports later must not be stored.
func (p *Process) Entered(r Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report = r
}

// Report returns the measures applied from outside and, after Entered, in the process
// itself.
func (p *Process) Report() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Report{slices.Clone(p.report.Outcomes)}
}

// Usage returns the counts so far, until Close.
func (p *Process) Usage() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count()
	return p.usage
}

func (p *Process) count() error {
	if p.closed {
		return nil
	}
	var u Usage
	var errs []error
	for _, g := range p.groups {
		errs = append(errs, g.usage(&u))
	}
	p.usage = u
	return errors.Join(errs...)
}

// SetMemory changes the memory limit of a process that was started without an assignment: the
// limit of its control group or, if there is none, its resource limit, which can only become
// lower. It fails if there is neither. If the process already uses more, it fails with a
// group of version 1; with one of version 2 the kernel kills the process; and with a resource
// limit that gets no more. The Report has the new limit.
func (p *Process) SetMemory(bytes int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.cmd.Process == nil {
		return fmt.Errorf("%w: %s: the process does not run", ErrNotConfined, MemoryLimit)
	}
	for _, g := range p.groups {
		if !g.has("memory") || !p.report.Applied(MemoryLimit) {
			continue
		}
		set := g.setMemory
		if !g.v2 && p.report.Applied(SwapLimit) {
			set = g.setBoth
		}
		if err := set(bytes); err != nil {
			return err
		}
		p.memory = bytes
		_, version, _ := strings.Cut(p.report.Detail(MemoryLimit), ",")
		p.report.note(MemoryLimit, fmt.Sprintf("%d bytes,%s", bytes, version), nil)
		return nil
	}
	if !p.report.Applied(ResourceLimit) {
		return fmt.Errorf("%w: %s: %s", ErrNotConfined, MemoryLimit, p.report.Detail(MemoryLimit))
	}
	limit := dataLimit(bytes)
	if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		return fmt.Errorf("confine: the resource limit of memory of process %d: %w", p.cmd.Process.Pid, err)
	}
	p.memory = bytes
	others, _, _ := strings.Cut(p.report.Detail(ResourceLimit), dataName)
	p.report.note(ResourceLimit, fmt.Sprintf("%s%s%d", others, dataName, limit), nil)
	return nil
}

// SetCores is Policy.Cores for a process that was started without an assignment. Without a
// control group it does nothing. The Report says which it was.
func (p *Process) SetCores(cores []int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.policy.skips(CoreLimit) {
		return nil
	}
	for _, g := range p.groups {
		if !g.has("cpuset") {
			continue
		}
		if err := g.setCores(cores); err != nil {
			return fmt.Errorf("confine: processors %v: %w", cores, err)
		}
		p.report.note(CoreLimit, fmt.Sprint(cores), nil)
	}
	return nil
}

// Kill kills the process and all it has started. With control groups or a user id of its own
// it returns when they have ended or are zombies, without either at once.
func (p *Process) Kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.kill()
}

func (p *Process) kill() error {
	var errs []error
	if p.closed {
		return nil
	}
	if p.cmd.Process != nil {
		p.cmd.Process.Kill() // an error means that it has ended
	}
	for _, g := range p.groups {
		errs = append(errs, killGroup(g.dir, g.v2))
	}
	if len(p.groups) == 0 && p.uid != nil && p.cmd.Process != nil {
		p.uid.killAll()
	}
	return errors.Join(errs...)
}

// Close kills what is left of the process, removes its groups and temporary files, and
// releases its user id. It does not reap the process: cmd.Wait does.
func (p *Process) Close() (Usage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return p.usage, nil
	}
	p.closeFD()
	p.closeOpened()
	errs := []error{p.kill(), p.count()}
	for _, g := range p.groups {
		errs = append(errs, removeGroup(g.dir, g.v2))
	}
	p.egress.close()
	if p.tmp != "" {
		errs = append(errs, os.RemoveAll(p.tmp))
	}
	p.uid.release()
	p.closed = true
	return p.usage, errors.Join(errs...)
}
