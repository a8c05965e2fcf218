package wasm

import (
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

const (
	pageBytes = 1 << 16
	maxPages  = 1 << 16

	defaultMemoryBytes   = 256 << 20
	defaultLoadTimeLimit = 10 * time.Second
	defaultInstances     = 64
)

// Config limits a module. The zero value is a module without access to files, with
// 256 MiB of memory and without a time limit for its calls.
type Config struct {
	// Name is the module's name in messages; "module" if it is empty.
	Name string
	// MemoryBytes is the most memory of an instance, rounded down to pages of 64 KiB; 0 is
	// 256 MiB, the maximum is 4 GiB. A module that starts with more is refused; if it
	// needs more later, memory.grow returns -1.
	MemoryBytes uint64
	// TimeLimit is how long a call may run; 0 is without limit. A call is ended within a
	// few milliseconds after it. A call also ends with its context.
	TimeLimit time.Duration
	// LoadTimeLimit is how long each of the functions may run that prepare an instance (its
	// start function, _initialize and rfaas_alloc); 0 is 10 s.
	LoadTimeLimit time.Duration
	// Fresh uses a new instance for each call, so that no call sees state of another.
	// Otherwise an instance is used again until it traps. A command has a new one anyway.
	Fresh bool
	// Instances is how many there may be at a time, not counting those that are ready
	// ahead; 0 is 64. If all are in use, the error of a call is invoke.ErrBusy.
	Instances int
	// Spares is how many instances are made ready ahead, outside of calls; 0 is 1, and
	// less than 0 none.
	Spares int
	// CacheDir is a folder for compiled code, created if need be; "" is none. Processes
	// may share it. Whoever can write there can run code in this process: restrict it to
	// users who may. A folder that this process can only read is used, and not filled:
	// see Keep.
	CacheDir string
	// Compiled is what Compile has returned for this very module; nil is none. It is
	// machine code, and runs in this process: it must come from a trusted source. It is
	// ignored if it is damaged, or for another machine.
	Compiled []byte
	// Stdout and Stderr get what the module writes to its standard output (of a command that is
	// the result instead) and error: whole lines, one per Write; longer ones than 4096 bytes
	// in pieces. Neither is called while one of them is. If nil, it is discarded.
	Stdout, Stderr io.Writer
	// OutputBytes is how much of both a call may write; 0 is 64 KiB. The rest is
	// dropped, and counted: Module.OutputLost.
	OutputBytes int
	// Env is the environment, "NAME=value" each.
	Env []string
	// Directories are the folders that the module may access. Load opens them.
	Directories []Directory
	// Interpreter uses no machine code, which is about 50 times slower. It is used
	// anyway, with a warning in the log, where wazero has no compiler: on processors
	// other than amd64 (with SSE 4.1) and arm64, and where executable memory is forbidden.
	Interpreter bool
}

// Directory is a folder that a module sees under a name. No path in it leads outside,
// neither by symbolic links nor by "..". The module can open files and folders, and cannot
// make links; other entries it can list, inspect and, where it may write, rename and remove.
// The file system has to bound how much it writes (by a quota, or its size).
type Directory struct {
	// Guest is the path in the module, absolute, such as "/data".
	Guest string
	// Host is the folder. Load opens it, and it stays the same folder afterwards.
	Host string
	// Writable allows creating, changing, renaming and removing files and folders.
	Writable bool
}

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" {
		c.Name = "module"
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = defaultMemoryBytes
	}
	if c.LoadTimeLimit == 0 {
		c.LoadTimeLimit = defaultLoadTimeLimit
	}
	if c.Instances == 0 {
		c.Instances = defaultInstances
	}
	if c.Spares == 0 {
		c.Spares = 1
	}
	if c.OutputBytes == 0 {
		c.OutputBytes = 64 << 10
	}
	switch {
	case strings.ContainsRune(c.Name, 0):
		return c, fmt.Errorf("wasm: the name %q: give one without zero bytes", c.Name)
	case c.MemoryBytes < pageBytes || c.MemoryBytes > maxPages*pageBytes:
		return c, fmt.Errorf("wasm: %s: a memory limit of %d bytes: give 64 KiB to 4 GiB", c.Name, c.MemoryBytes)
	case c.TimeLimit < 0 || c.LoadTimeLimit < 0:
		return c, fmt.Errorf("wasm: %s: a time limit is not negative", c.Name)
	case c.Instances < 0:
		return c, fmt.Errorf("wasm: %s: %d instances: give 1 or more", c.Name, c.Instances)
	case c.OutputBytes < 0:
		return c, fmt.Errorf("wasm: %s: an output limit of %d bytes: give 1 or more", c.Name, c.OutputBytes)
	}
	for _, v := range c.Env {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" || strings.ContainsRune(v, 0) {
			return c, fmt.Errorf("wasm: %s: an environment variable %q: give NAME=value, without zero bytes", c.Name, v)
		}
	}
	taken := map[string]bool{}
	for _, d := range c.Directories {
		switch {
		case d.Guest == "" || d.Host == "":
			return c, fmt.Errorf("wasm: %s: the directory %q at %q: both names are needed", c.Name, d.Host, d.Guest)
		case !path.IsAbs(d.Guest) || path.Clean(d.Guest) != d.Guest:
			return c, fmt.Errorf("wasm: %s: a directory at %q: give an absolute path such as /data", c.Name, d.Guest)
		case taken[d.Guest]:
			return c, fmt.Errorf("wasm: %s: there are two directories at %q: give one", c.Name, d.Guest)
		}
		taken[d.Guest] = true
	}
	return c, nil
}
