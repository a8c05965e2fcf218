package pack

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/internal/elffile"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// Code is what the code of a package declares.
type Code struct {
	// Runtime is the runtime that it is for: native, wasm or command.
	Runtime string `json:"runtime"`
	// Target is the platform: "linux/amd64", "wasm32"; "linux" for a script.
	Target string `json:"target"`
	// EntryPoints are the functions that can be called by name, sorted. Of a shared object
	// they are those that it defines and exports. It does not declare their signatures, so
	// some may not be functions of rFaaS. Of a WebAssembly module they are the exports with
	// the name and type of invoke/runtime/wasm's convention, of one that is a program _start.
	// A script or an executable has none: it is one function, whose entry is the package's
	// name.
	EntryPoints []string `json:"entry_points"`
	// Needed are the libraries that native code and executables load, the modules that a
	// WebAssembly module imports from, or the interpreter of a script.
	Needed []string `json:"needed"`

	obstacle error // why this build cannot run it
}

// Bounds of what is read from code.
const (
	maxEntryPoints = 1 << 20
	maxNeeded      = 4096
)

// The first bytes of code.
const (
	magicELF    = "\x7fELF"
	magicWasm   = "\x00asm"
	magicScript = "#!"
)

var errNoCode = errors.New("is neither a shared object or an executable (ELF), nor a script (#!), nor a WebAssembly module")

// codeReader determines by the first bytes of code what reads its declarations.
func codeReader(r io.ReaderAt) (func(r io.ReaderAt, size int64) (*Code, error), error) {
	switch {
	case hasMagic(r, magicELF):
		return readELF, nil
	case hasMagic(r, magicWasm):
		return readWasm, nil
	case hasMagic(r, magicScript):
		return readScript, nil
	}
	return nil, errNoCode
}

// readCode reads the declarations of code.
func readCode(f file) (*Code, error) {
	c, err := f.open()
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	defer c.Close()
	read, err := codeReader(c)
	if err != nil {
		return nil, fmt.Errorf("pack: module %s: %w", shown(f.name), err)
	}
	code, err := read(c, f.size)
	if err != nil {
		return nil, fmt.Errorf("pack: module %s: %w", shown(f.name), err)
	}
	return code, nil
}

// hint says how code gets entry points.
func (c *Code) hint() string {
	if c.Runtime == runtime.Wasm {
		return "a module exports functions of the type (i32, i32, i32, i32) -> i32 with names that begin neither with _ nor with rfaas_, or, as a program, _start"
	}
	return "functions must be global, of default visibility, and extern \"C\" in C++"
}

// Mangled is how many entry points have names that a compiler of C++ or Rust has made. They
// can be called, but are functions of a package only if it names them.
func (c *Code) Mangled() (n int) {
	for _, entry := range c.EntryPoints {
		if elffile.Mangled(entry) {
			n++
		}
	}
	return n
}

// named are the entry points that people have named: neither those that are mangled nor
// those of the runtime of a language, such as __cxa_throw of C++. Go's runtime exports dozens
// of all kinds, but also which are the program's: _cgoexp_HASH_upper stands for upper.
func (c *Code) named() (names []string) {
	ofGo := map[string]bool{}
	for _, entry := range c.EntryPoints {
		if rest, ok := strings.CutPrefix(entry, "_cgoexp_"); ok {
			_, name, _ := strings.Cut(rest, "_")
			ofGo[name] = true
		}
	}
	for _, entry := range c.EntryPoints {
		if !elffile.Mangled(entry) && !strings.HasPrefix(entry, "__") && (len(ofGo) == 0 || ofGo[entry]) {
			names = append(names, entry)
		}
	}
	return names
}

// entries are the entry points of the code in a package.
func (c *Code) entries(m Manifest) []string {
	if c.Runtime == runtime.Command {
		return []string{m.Name}
	}
	return c.EntryPoints
}

func (c *Code) checkRuntime(m Manifest) error {
	if c.obstacle != nil {
		return c.obstacle
	}
	if m.Runtime != c.Runtime {
		return fmt.Errorf("pack: manifest: runtime: is %q, but %s is code for %q", m.Runtime, m.Module, c.Runtime)
	}
	return nil
}

// Check returns an error if this build cannot run the code as the manifest says: it is for
// another processor, operating system or runtime, or entry points are missing.
func (c *Code) Check(m Manifest) error {
	if err := c.checkRuntime(m); err != nil {
		return err
	}
	if err := (&Code{Runtime: c.Runtime, EntryPoints: c.entries(m)}).lacks(m.Functions); err != nil {
		return fmt.Errorf("pack: manifest: functions: %w", err)
	}
	return nil
}

// lacks returns an error if entry points are missing.
func (c *Code) lacks(functions []Function) error {
	var missing []string
	wanted := ""
	for _, f := range functions {
		if _, ok := slices.BinarySearch(c.EntryPoints, f.Entry); !ok {
			missing, wanted = append(missing, shown(f.Entry)), f.Entry
		}
	}
	if len(missing) == 0 {
		return nil
	}
	said := "; " + c.there()
	if mangled := elffile.MangledAs(wanted, c.EntryPoints); mangled != "" {
		said = fmt.Sprintf(", but %s, which looks like its name in C++ or Rust: %s", shown(mangled), elffile.Unmangle)
	}
	return fmt.Errorf("the code has no entry point %s%s", fewOf(missing), said)
}

// there lists the entry points of the code.
func (c *Code) there() string {
	names, mangled := c.named(), c.Mangled()
	switch {
	case len(names) == 0 && mangled > 0:
		return fmt.Sprintf("all that it has are %d mangled names of C++ or Rust; for a function to have its own, %s", mangled, elffile.Unmangle)
	case len(names) == 0:
		return "it has none at all: " + c.hint()
	case mangled > 0:
		return fmt.Sprintf("there are: %s, and %d mangled names of C++ or Rust", fewOf(names), mangled)
	}
	return "there are: " + fewOf(names)
}
