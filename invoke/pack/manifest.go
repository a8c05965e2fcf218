package pack

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// Manifest describes a package and how to run it. As JSON it is the file manifest.json of a
// package. In a hand-written one, fields may be missing, which get the default given here;
// one in an archive has all fields, but those of programs only where they say something.
type Manifest struct {
	// Format is the version of this format: 1.
	Format int `json:"format"`
	// Name and Version are for people; nodes use the digest. A name is 1 to 128 letters,
	// digits and . _ - of ASCII and does not begin with . or -; by default that of what is
	// packed: of the code's file or the manifest's without its extension, or of the folder.
	// A version is 1 to 64 of these and +; 0.0.0 by default.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Runtime is "native", a shared object with the ABI of rFaaS, "wasm", or "command",
	// a script or an executable; by default that of the code.
	Runtime string `json:"runtime"`
	// Module is the file of the code. In a folder it is by default the only file whose name
	// ends in .so or .wasm; a manifest without a folder has to name it.
	Module string `json:"module"`
	// Functions are the functions of the package, 1 to 1023, in the order of their
	// registration. By default they are all entry points whose names are valid, but for
	// those that a compiler or the runtime of a language has named: _Z..., __cxa_throw.
	// A program's only function has the package's name, which is its entry point too, but
	// _start for one in WebAssembly.
	Functions []Function `json:"functions"`
	// SlotBytes is the size of slots that the functions need, in bytes: the longest
	// input and result without rendezvous. 256 to 1 GiB; 64 KiB by default.
	SlotBytes int `json:"slot_bytes"`
	// MemoryBytes limits the memory of the code, in bytes: the linear memory of
	// WebAssembly; for native code, what it uses beyond an empty executor. 1 MiB to
	// 1 TiB, 4 GiB for WebAssembly; 256 MiB by default.
	MemoryBytes int64 `json:"memory_bytes"`
	// TimeLimit bounds a call. It is a duration of Go as a string, such as "1.5s",
	// 1 ms to 24 h; 1 minute by default.
	TimeLimit Duration `json:"time_limit"`
	// StackBytes is the stack of a call of native code, in bytes. 16 KiB to
	// MemoryBytes, to which it counts as far as it was ever used; by default it is not in
	// the manifest, and is 8 MiB.
	StackBytes int64 `json:"stack_bytes,omitempty"`
	// Arguments are those of a program, 256 and 64 KiB at most; none by default. In them "{}" stands
	// for the name of a file with the input, which is the standard input otherwise. Without
	// arguments this field is not in archives, nor is Warm if it is false.
	Arguments []string `json:"arguments,omitempty"`
	// Warm says that a program is started once, and serves calls by the protocol of
	// invoke/runtime/command; false by default.
	Warm bool `json:"warm,omitempty"`
	// WASI is what a WebAssembly module requests of the node: nothing by default. The
	// node decides what it gives.
	WASI WASI `json:"wasi"`
}

// Function is a function of a package.
type Function struct {
	// Name is what callers call it: 1 to 255 bytes of printable UTF-8.
	Name string `json:"name"`
	// Entry is the entry point in the code: 1 to 1024 such bytes. By default it is the
	// name.
	Entry string `json:"entry"`
	// Idempotent says that a call may be repeated without a second effect; false by
	// default.
	Idempotent bool `json:"idempotent"`
}

// WASI is what a WebAssembly module requests of the node.
type WASI struct {
	// Directories that the module may access, 16 at most.
	Directories []Directory `json:"directories"`
	// Network would request sockets. It must be false: no node can give them, since WASI
	// (preview 1) has no call that creates one.
	Network bool `json:"network"`
}

// Directory is a directory of the node. The node maps the name to a path; the module sees
// the directory as /NAME.
type Directory struct {
	// Name has the form of a package's name.
	Name string `json:"name"`
	// Writable requests writing as well as reading.
	Writable bool `json:"writable"`
}

// Duration is a time.Duration that is a string in JSON, such as "1m30s".
type Duration struct{ time.Duration }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	if d.Duration, err = time.ParseDuration(string(text)); err != nil {
		return fmt.Errorf("%q is not a duration such as 1.5s or 2m", text)
	}
	return nil
}

// Limits and defaults. Those of functions and slots are invoke's.
const (
	format           = 1
	maxFunctions     = 1023
	maxFunctionBytes = 255
	maxEntryBytes    = 1024
	maxNameBytes     = 128
	maxVersionBytes  = 64
	maxDirectories   = 16
	maxArguments     = 256
	maxArgumentBytes = 64 << 10 // of all together

	defaultVersion     = "0.0.0"
	defaultSlotBytes   = 64 << 10
	minSlotBytes       = 256
	maxSlotBytes       = 1 << 30
	defaultMemoryBytes = 256 << 20
	minMemoryBytes     = 1 << 20
	maxMemoryBytes     = 1 << 40
	maxWasmMemoryBytes = 4 << 30
	defaultTimeLimit   = time.Minute
	minStackBytes      = 16 << 10
	maxStackBytes      = 1 << 40
	minTimeLimit       = time.Millisecond
	maxTimeLimit       = 24 * time.Hour
)

// ManifestError is what is wrong with a manifest, all of it.
type ManifestError struct{ Err error }

func (e *ManifestError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *ManifestError) Unwrap() error { return e.Err }

// Validate reports everything that is wrong with a manifest, one line each. Defaults must
// have been filled in. Errors: *ManifestError.
func (m *Manifest) Validate() error {
	var problems []error
	wrong := func(where, format string, args ...any) {
		problems = append(problems, fmt.Errorf("pack: manifest: %s: %w", where, fmt.Errorf(format, args...)))
	}
	if m.Format != format {
		wrong("format", "%d is not known to this build, which reads %d: use one that is as new as the package", m.Format, format)
	}
	if err := checkName(m.Name); err != nil {
		wrong("name", "%w", err)
	}
	if !validName(m.Version, maxVersionBytes, "+") {
		wrong("version", "%q: must be 1 to %d letters, digits and . _ - + that do not begin with . or -", m.Version, maxVersionBytes)
	}
	if err := checkRuntime(m.Runtime); err != nil {
		wrong("runtime", "%w", err)
	}
	if err := checkPath(m.Module); err != nil {
		wrong("module", "%w", err)
	} else if m.Module == manifestFile {
		wrong("module", "%s is the manifest: name the file of the code", manifestFile)
	}
	m.validateFunctions(wrong)
	if m.SlotBytes < minSlotBytes || m.SlotBytes > maxSlotBytes {
		wrong("slot_bytes", "%d: must be %d to %d", m.SlotBytes, minSlotBytes, maxSlotBytes)
	}
	most := int64(maxMemoryBytes)
	if m.Runtime == runtime.Wasm {
		most = maxWasmMemoryBytes
	}
	if m.MemoryBytes < minMemoryBytes || m.MemoryBytes > most {
		wrong("memory_bytes", "%d: must be %d to %d", m.MemoryBytes, minMemoryBytes, most)
	}
	if limit := m.TimeLimit.Duration; limit < minTimeLimit || limit > maxTimeLimit {
		wrong("time_limit", "%v: must be %v to %v", limit, minTimeLimit, maxTimeLimit)
	}
	switch {
	case m.StackBytes == 0:
	case m.Runtime != runtime.Native:
		wrong("stack_bytes", "is for the runtime %s: leave it out", runtime.Native)
	case m.StackBytes < minStackBytes || m.StackBytes > maxStackBytes:
		wrong("stack_bytes", "%d: must be %d to %d", m.StackBytes, minStackBytes, maxStackBytes)
	case m.StackBytes > m.MemoryBytes:
		wrong("stack_bytes", "%d: is more than the memory that it counts to: memory_bytes is %d", m.StackBytes, m.MemoryBytes)
	}
	m.validateCommand(wrong)
	m.validateWASI(wrong)
	if len(problems) > 0 {
		return &ManifestError{errors.Join(problems...)}
	}
	return nil
}

func (m *Manifest) validateFunctions(wrong func(where, format string, args ...any)) {
	if n := len(m.Functions); n < 1 || n > maxFunctions {
		wrong("functions", "%d of them: must be 1 to %d; choose those that are to be called", n, maxFunctions)
		return
	}
	taken := map[string]int{}
	for i, f := range m.Functions {
		where := fmt.Sprintf("functions[%d]", i)
		if !printable(f.Name, maxFunctionBytes) {
			wrong(where+".name", "%s: must be 1 to %d bytes of printable UTF-8", shown(f.Name), maxFunctionBytes)
			continue
		}
		if !printable(f.Entry, maxEntryBytes) {
			wrong(where+".entry", "%s: must be 1 to %d bytes of printable UTF-8", shown(f.Entry), maxEntryBytes)
		}
		if first, ok := taken[f.Name]; ok {
			wrong(where+".name", "%q is functions[%d], too: give one of them another name", f.Name, first)
		}
		taken[f.Name] = i
	}
}

func (m *Manifest) validateCommand(wrong func(where, format string, args ...any)) {
	if m.Runtime != runtime.Command {
		if len(m.Arguments) > 0 {
			wrong("arguments", "is for the runtime %s: leave it out", runtime.Command)
		}
		if m.Warm {
			wrong("warm", "is for the runtime %s: leave it out", runtime.Command)
		}
		return
	}
	if n := len(m.Arguments); n > maxArguments {
		wrong("arguments", "%d of them: must be at most %d", n, maxArguments)
		return
	}
	total := 0
	for i, argument := range m.Arguments {
		where := fmt.Sprintf("arguments[%d]", i)
		if !utf8.ValidString(argument) || strings.Contains(argument, "\x00") {
			wrong(where, "%s: must be UTF-8 without zero bytes", shown(argument))
		}
		if m.Warm && strings.Contains(argument, "{}") {
			wrong(where, "%s: a program that is warm reads its calls, so there is no file for {}: leave it or warm out", shown(argument))
		}
		total += len(argument)
	}
	if total > maxArgumentBytes {
		wrong("arguments", "%d bytes: must be at most %d", total, maxArgumentBytes)
	}
}

func (m *Manifest) validateWASI(wrong func(where, format string, args ...any)) {
	if m.Runtime != runtime.Wasm && (m.WASI.Network || len(m.WASI.Directories) > 0) {
		wrong("wasi", "is for the runtime %s: leave it out", runtime.Wasm)
	}
	if m.WASI.Network {
		wrong("wasi.network", "there is no network for WebAssembly functions, as WASI (preview 1) cannot make sockets: send what the function needs as its input, or write it as a native one")
	}
	if n := len(m.WASI.Directories); n > maxDirectories {
		wrong("wasi.directories", "%d of them: must be at most %d", n, maxDirectories)
		return
	}
	taken := map[string]bool{}
	for i, d := range m.WASI.Directories {
		where := fmt.Sprintf("wasi.directories[%d].name", i)
		if err := checkName(d.Name); err != nil {
			wrong(where, "%w", err)
		}
		if taken[d.Name] {
			wrong(where, "%q appears twice: name a directory once", d.Name)
		}
		taken[d.Name] = true
	}
}

// fillIn sets missing fields to their defaults, except those that depend on the files.
func (m *Manifest) fillIn() {
	setDefault(&m.Format, format)
	setDefault(&m.Version, defaultVersion)
	setDefault(&m.SlotBytes, defaultSlotBytes)
	setDefault(&m.MemoryBytes, defaultMemoryBytes)
	setDefault(&m.TimeLimit.Duration, defaultTimeLimit)
	for i := range m.Functions {
		setDefault(&m.Functions[i].Entry, m.Functions[i].Name)
	}
	if len(m.Arguments) == 0 {
		m.Arguments = nil // as it is read from archives
	}
	if m.WASI.Directories == nil {
		m.WASI.Directories = []Directory{} // [] and not null in JSON
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func checkRuntime(name string) error {
	switch name {
	case runtime.Native, runtime.Wasm, runtime.Command:
		return nil
	case runtime.Go:
		return fmt.Errorf("%q functions are compiled into the program that offers them, so there is no file to pack: register them with its worker, or compile them to WebAssembly", name)
	}
	return fmt.Errorf("%q: must be %q, %q or %q", name, runtime.Native, runtime.Wasm, runtime.Command)
}

func checkName(name string) error {
	if !validName(name, maxNameBytes, "") {
		return fmt.Errorf("%s: must be 1 to %d letters, digits and . _ - that do not begin with . or -", shown(name), maxNameBytes)
	}
	return nil
}

// validName checks names that become parts of paths and of command lines.
func validName(name string, most int, also string) bool {
	for i := range len(name) {
		if !nameByte(name[i]) && (also == "" || name[i] != also[0]) {
			return false
		}
	}
	return name != "" && len(name) <= most && name[0] != '.' && name[0] != '-'
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

// printable checks names that people see, for characters that could deceive them or control
// a terminal.
func printable(s string, most int) bool {
	if s == "" || len(s) > most || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// shown is a string for a message: quoted, and shortened if it is long.
func shown(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q... (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
