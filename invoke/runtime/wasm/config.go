package wasm

import (
	"fmt"
	"io"
	"path"
	"time"
)

const (
	pageBytes = 1 << 16
	maxPages  = 1 << 16

	defaultMemoryBytes   = 256 << 20
	defaultLoadTimeLimit = 10 * time.Second
	defaultInstances     = 64
)

// Config says what a module may do. The zero value is a module without files,
// with 256 MiB of memory and without a time limit for its calls.
type Config struct {
	// Name is the module's name in messages; "module" if it is empty.
	Name string
	// MemoryBytes is the most memory that an instance may have, rounded down to
	// pages of 64 KiB; 0 is 256 MiB, the most is 4 GiB. A module that begins with
	// more is refused; for one that asks for more, memory.grow returns -1.
	MemoryBytes uint64
	// TimeLimit is how long a call may run; 0 is without limit. A call is ended
	// within a few milliseconds after it. The deadline of the call's context, and
	// that context's end, hold besides.
	TimeLimit time.Duration
	// LoadTimeLimit is how long the preparation of an instance may run (its start
	// function and _initialize); 0 is 10 s.
	LoadTimeLimit time.Duration
	// Fresh takes a new instance for each call, so that nothing is left from the
	// one before. Otherwise an instance is used again until it traps.
	Fresh bool
	// Instances is how many there may be at a time, those that are ready not
	// counted; 0 is 64. A call that finds all of them in use is answered with
	// invoke.ErrBusy.
	Instances int
	// Spares is how many instances are made ready ahead, off the way of the calls;
	// 0 is 1, and less than 0 none.
	Spares int
	// CacheDir is a folder for compiled code, made if it is missing; "" is none.
	// Processes may share it. Whoever can write there can run code in this
	// process: it must belong to those who may. A folder that this process may read
	// only is used, and not filled: see Keep.
	CacheDir string
	// Compiled is what Compile has returned for this very module; nil is none. It is
	// machine code, and runs in this process: it must come from who may run code in
	// it. What is damaged, or for another machine, is not used.
	Compiled []byte
	// Output gets what the module writes to its standard output and error: whole
	// lines, one per Write, prefixed by nothing. Instances call it one at a time.
	// nil throws everything away.
	Output io.Writer
	// OutputBytes is how much of it a call may write; 0 is 64 KiB. The rest is
	// lost, and counted: Module.OutputLost.
	OutputBytes int
	// Directories are the folders that it sees; none unless listed. They are opened
	// by Load.
	Directories []Directory
	// Interpreter does without machine code, which is about 50 times slower. It is
	// used anyway, and the log says so, where wazero has no compiler: other processors
	// than amd64 (with SSE 4.1) and arm64, and where executable memory is forbidden.
	Interpreter bool
}

// Directory is a folder that a module sees under a name. Nothing in it leads
// outside, neither symbolic links nor "..". The module sees files and folders, and
// cannot make links; of others it only sees the names. How much it writes is for
// the file system to bound (a quota, a small file system).
type Directory struct {
	// Guest is the name in the module: an absolute path such as "/data".
	Guest string
	// Host is the folder. What it is when Load opens it, it stays.
	Host string
	// Writable allows making, changing, renaming and removing files and folders.
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
	case c.MemoryBytes < pageBytes || c.MemoryBytes > maxPages*pageBytes:
		return c, fmt.Errorf("wasm: %s: a memory limit of %d bytes: give 64 KiB to 4 GiB", c.Name, c.MemoryBytes)
	case c.TimeLimit < 0 || c.LoadTimeLimit < 0:
		return c, fmt.Errorf("wasm: %s: a time limit is not negative", c.Name)
	case c.Instances < 0:
		return c, fmt.Errorf("wasm: %s: %d instances: give 1 or more", c.Name, c.Instances)
	case c.OutputBytes < 0:
		return c, fmt.Errorf("wasm: %s: an output limit of %d bytes: give 1 or more", c.Name, c.OutputBytes)
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
