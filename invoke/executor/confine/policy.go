package confine

import (
	"errors"
	"slices"
)

// ErrNotSupported is wrapped by errors that say that the system or this machine's
// architecture lacks what the package needs.
var ErrNotSupported = errors.New("confine: not supported")

// ErrNoHost means that this process was not started by a Host.
var ErrNoHost = errors.New("this process was not started by a Host")

// Measure is one way in which a process is confined.
type Measure string

// The measures. Those of the supervisor's side first.
const (
	UID           Measure = "uid"            // a user id of its own
	Namespaces    Measure = "namespaces"     // of users, mounts, processes, SysV IPC
	MemoryLimit   Measure = "memory-limit"   // by control group
	SwapLimit     Measure = "swap-limit"     // no swap, by control group
	TaskLimit     Measure = "task-limit"     // processes and threads, by control group
	CPULimit      Measure = "cpu-limit"      // by control group
	Egress        Measure = "egress"         // packets to peers only, see Policy.Egress
	Environment   Measure = "environment"    // only what Policy.Env has
	Descriptors   Measure = "descriptors"    // only those of exec.Cmd
	Session       Measure = "session"        // of its own, without terminal
	ParentDeath   Measure = "parent-death"   // ends when the supervisor does
	PrivateTmp    Measure = "private-tmp"    // temporary files are nobody else's
	OOMScore      Measure = "oom-score"      // the first to go when the machine lacks memory
	ResourceLimit Measure = "rlimits"        // setrlimit
	NoCore        Measure = "no-core"        // no core dumps, not to be traced
	NoPrivileges  Measure = "no-new-privs"   // no capabilities, none by executing files
	Landlock      Measure = "landlock"       // few files
	Seccomp       Measure = "seccomp-filter" // few system calls
)

// prepared are the measures of the supervisor, entered those of the process
// itself, in the order in which they are applied.
var (
	prepared = []Measure{UID, Namespaces, MemoryLimit, SwapLimit, TaskLimit, CPULimit, Egress, Environment, Descriptors, Session, ParentDeath}
	entered  = []Measure{PrivateTmp, OOMScore, ResourceLimit, NoPrivileges, Landlock, NoCore, Seccomp}
)

// Policy says how a process is to be confined. The zero value tries everything,
// requires nothing and has no limits; start with DefaultPolicy.
type Policy struct {
	Require []Measure // cannot be applied: an error
	Without []Measure // not tried
	// Otherwise is what errors about missing measures end with: what somebody can do
	// instead who does not need to have the process confined.
	Otherwise string

	MemoryBytes int64   // of the control group; 0: no limit
	Tasks       int     // threads and processes; a Go program has 10 to 30 threads; 0: no limit
	CPUs        float64 // processors' worth of time, 1.5 for one and a half; 0: no limit
	TmpBytes    int64   // size of the private /tmp; 0: half of the machine's memory
	FileBytes   int64   // size of a file written, and of memory files, which transports have; 0: no limit
	OpenFiles   int     // descriptors; 0: as the supervisor has
	LockedBytes int64   // of memory that is locked, as RDMA devices do; 0: as the supervisor has

	Env        []string // the environment, "name=value"; TMPDIR is added
	ReadPaths  []string // files and folders to read and execute, beyond the system's libraries
	WritePaths []string // files and folders to read and write

	// Verbs is for processes that use InfiniBand's kernel interface. It takes writes only
	// from the very credentials that opened a device, and dropping privileges makes new
	// ones, in each thread others: so Inherited does that, and starts the program anew.
	Verbs bool

	// Egress is for processes with UDP sockets: what they send goes only to those that
	// Process.AllowPeer has been told of. They can use their sockets for nothing else, nor
	// any other sockets of the Internet protocols that they make themselves.
	Egress bool

	// Syscalls are allowed beyond the filter's own, by the numbers of
	// golang.org/x/sys/unix for this architecture.
	Syscalls []uint32
}

// DefaultPolicy requires what untrusted code needs at least and any usual machine
// has: for root, a uid and limits of memory and tasks by control groups too; for
// others, who rarely may have these, what the process does to itself, and Landlock:
// nothing else keeps their code from their own files. Namespaces and the rest are used
// where they are.
func DefaultPolicy() Policy {
	p := Policy{
		Require:     []Measure{Environment, Descriptors, Session, ParentDeath, OOMScore, ResourceLimit, NoPrivileges, NoCore, Seccomp},
		MemoryBytes: 1 << 30,
		Tasks:       128,
		TmpBytes:    64 << 20,
		OpenFiles:   256,
	}
	if isRoot() {
		p.Require = append(p.Require, UID, MemoryLimit, TaskLimit)
	} else {
		p.Require = append(p.Require, Landlock)
	}
	return p
}

func (p *Policy) requires(m Measure) bool { return slices.Contains(p.Require, m) }
func (p *Policy) skips(m Measure) bool    { return slices.Contains(p.Without, m) }
