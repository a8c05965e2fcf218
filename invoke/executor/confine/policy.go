package confine

import (
	"errors"
	"log/slog"
	"runtime"
	"slices"
)

// ErrNotSupported is wrapped by errors on a system or architecture that the package does
// not support.
var ErrNotSupported = errors.New("confine: not supported")

// ErrNoHost means that this process was not started by a Host.
var ErrNoHost = errors.New("this process was not started by a Host")

// Measure is one kind of isolation.
type Measure string

// The measures, those of the supervisor's side first.
const (
	UID           Measure = "uid"            // a user id of its own
	Namespaces    Measure = "namespaces"     // of users, mounts, processes, SysV IPC
	MemoryLimit   Measure = "memory-limit"   // by control group
	SwapLimit     Measure = "swap-limit"     // no swap, by control group
	TaskLimit     Measure = "task-limit"     // processes and threads, by control group
	CPULimit      Measure = "cpu-limit"      // by control group
	CoreLimit     Measure = "core-limit"     // processors, which its threads cannot leave, by control group
	Egress        Measure = "egress"         // packets to peers only, see Policy.Egress
	Environment   Measure = "environment"    // only what Policy.Env has
	Descriptors   Measure = "descriptors"    // only those of exec.Cmd
	Session       Measure = "session"        // of its own, without terminal
	ParentDeath   Measure = "parent-death"   // ends when the supervisor does
	PrivateTmp    Measure = "private-tmp"    // temporary files of its own
	OOMScore      Measure = "oom-score"      // killed first when the machine runs out of memory
	ResourceLimit Measure = "rlimits"        // setrlimit
	NoCore        Measure = "no-core"        // no core dumps, no tracing
	NoPrivileges  Measure = "no-new-privs"   // no capabilities, none by executing files
	Landlock      Measure = "landlock"       // few files
	Seccomp       Measure = "seccomp-filter" // few system calls
)

// prepared are the measures of the supervisor, entered those of the process
// itself, in the order in which they are applied.
var (
	prepared = []Measure{UID, Namespaces, MemoryLimit, SwapLimit, TaskLimit, CPULimit, CoreLimit, Egress, Environment, Descriptors, Session, ParentDeath}
	entered  = []Measure{PrivateTmp, OOMScore, ResourceLimit, NoPrivileges, Landlock, NoCore, Seccomp}
)

// Policy says how a process is confined. The zero value tries every measure, requires none,
// and has no limits; start with DefaultPolicy.
type Policy struct {
	Require []Measure // an error if one cannot be applied
	Without []Measure // not tried
	// Otherwise is appended to errors about missing measures: what a user can do who does
	// not need the process to be confined.
	Otherwise string

	MemoryBytes int64   // of the control group; 0: no limit
	Tasks       int     // threads and processes; a Go program has 10 to 30 threads; 0: no limit
	CPUs        float64 // processors' worth of time, such as 1.5; 0: no limit
	Cores       []int   // the processors that it may use, by number; nil: all
	TmpBytes    int64   // size of the private /tmp; 0: half of the machine's memory
	FileBytes   int64   // size of a written file, also of memory files, which transports have; 0: no limit
	OpenFiles   int     // descriptors; 0: as the supervisor
	LockedBytes int64   // of locked memory, which RDMA devices need; 0: as the supervisor

	Env   []string // the environment, "NAME=value"; TMPDIR and HOME are added
	Paths []Path   // what the process has beyond the system's libraries
	// Folder is a folder that the process can read and execute, and is in after Enter. Shared
	// objects that are loaded then find the libraries in it, and in its folder lib. With
	// Namespaces its name is FolderName there. A process with a user of its own needs rights
	// only to the folder, not to those that it is in. Empty for none.
	Folder string

	// Programs lets the process start programs, and these others: what the system has, and
	// what is in Paths and Folder. It needs Namespaces.
	Programs bool

	// Verbs is for processes that use InfiniBand's kernel interface. A device accepts
	// requests only with the very credentials that opened it, and dropping privileges
	// replaces them, in each thread separately. So Inherited drops them, and restarts the
	// program.
	Verbs bool

	// Egress is for processes with UDP sockets: they can send only to the addresses of
	// Process.AllowPeer. Other sockets of the Internet protocols that they create cannot
	// send at all.
	Egress bool

	// Syscalls are allowed in addition to the filter's own, by the numbers of
	// golang.org/x/sys/unix for this architecture.
	Syscalls []uint32
}

// Path is a file or folder of the machine that a process has, to read and execute. A process
// with a user of its own has the rights there that others have.
type Path struct {
	Host string // absolute
	// Guest is where the process sees it; if empty, at Host. Only a process with Namespaces
	// can see it elsewhere. One without is not confined, unless Anywhere says that it may see
	// it at Host instead.
	Guest    string
	Anywhere bool
	Writable bool // it can be written, too

	folder bool // it is Policy.Folder
}

// DefaultPolicy requires the least that untrusted code needs and any usual machine has. For
// root that includes a uid, and limits of memory and tasks by control groups. Other users
// rarely may have these; for them it includes Landlock, since nothing else keeps the code
// from their own files. Namespaces and the other measures are applied where they can be.
func DefaultPolicy() Policy {
	p := Policy{
		Require:     []Measure{Environment, Descriptors, Session, ParentDeath, OOMScore, ResourceLimit, NoPrivileges, NoCore, Seccomp},
		MemoryBytes: 1 << 30,
		Tasks:       128 + 8*runtime.NumCPU(), // of libraries with a thread for each processor, and of those that have pools of them
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

// HostConfig describes a Host. The zero value works on most machines.
type HostConfig struct {
	// Cgroup is the control group to create groups in, as a path from the root of its
	// hierarchy, the same in each. Default: the group of this process, else the root.
	Cgroup string
	// FirstUID and UIDs are the user ids that root gives to processes. Nothing else on
	// the machine may use them. Default: 1024 ids from 1,900,000,000 on, a range that no
	// distribution, service manager or container engine uses.
	FirstUID, UIDs int
	// LockFolder is where the Hosts of root lock user ids and their journals. Those of
	// other users have their journals in the folder for temporary files. Default:
	// /run/rfaas-confine.
	LockFolder string
	// Logger gets a warning about what other Hosts have left. It may be nil.
	Logger *slog.Logger
}
