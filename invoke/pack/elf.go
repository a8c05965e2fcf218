package pack

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	goruntime "runtime"
	"slices"

	"github.com/rfaas-go/rfaas/internal/elffile"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// elfPlumbing are functions that the linker or start-up code adds to shared objects.
var elfPlumbing = []string{"_init", "_fini", "_start", "__libc_csu_init", "__libc_csu_fini"}

// readELF reads a shared object or an executable. The entry points of a shared object are
// the functions that its dynamic symbol table defines as global or weak, and visible.
func readELF(r io.ReaderAt, _ int64) (code *Code, err error) {
	defer func() {
		// debug/elf does not promise to withstand hostile files.
		if p := recover(); p != nil {
			err = fmt.Errorf("is damaged: %v", p)
		}
	}()
	f, err := elffile.Open(r)
	if err != nil {
		return nil, fmt.Errorf("is damaged, or no ELF file: %w", err)
	}
	code = &Code{Runtime: runtime.Native, Target: elfTarget(f), EntryPoints: []string{}, Needed: []string{}}
	program := elfProgram(f)
	if program {
		code.Runtime = runtime.Command
	}
	if code.obstacle = elfObstacle(f, program); code.obstacle != nil && f.Type != elf.ET_DYN {
		return code, nil // it has no dynamic symbols
	}
	symbols, err := f.DynamicSymbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("dynamic symbols: %w", err)
	}
	if len(symbols) > maxEntryPoints {
		return nil, fmt.Errorf("%d dynamic symbols: must be at most %d", len(symbols), maxEntryPoints)
	}
	for _, s := range symbols {
		if !program && elffile.Exports(s) && !slices.Contains(elfPlumbing, s.Name) {
			code.EntryPoints = append(code.EntryPoints, s.Name)
		}
	}
	slices.Sort(code.EntryPoints)
	code.EntryPoints = slices.Compact(code.EntryPoints) // versions of a symbol
	needed, err := f.ImportedLibraries()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, fmt.Errorf("needed libraries: %w", err)
	}
	if len(needed) > maxNeeded {
		return nil, fmt.Errorf("%d needed libraries: must be at most %d", len(needed), maxNeeded)
	}
	code.Needed = append(code.Needed, needed...)
	return code, nil
}

// elfTarget is the platform of the file, by Go's names if it has one.
func elfTarget(f *elf.File) string {
	machine := f.Machine.String()
	for name, m := range elffile.Machines {
		if m == f.Machine && f.Class == elf.ELFCLASS64 && f.Data == elf.ELFDATA2LSB {
			machine = name
		}
	}
	switch f.OSABI {
	case elf.ELFOSABI_NONE, elf.ELFOSABI_LINUX: // most tools write the former
		return "linux/" + machine
	}
	return f.OSABI.String() + "/" + machine
}

// elfProgram reports whether the file is an executable.
func elfProgram(f *elf.File) bool {
	flags, err := f.DynValue(elf.DT_FLAGS_1)
	pie := err == nil && len(flags) > 0 && elf.DynFlag1(flags[0])&elf.DF_1_PIE != 0
	return f.Type == elf.ET_EXEC || f.Type == elf.ET_DYN && pie
}

// elfObstacle returns why this build cannot load or start the file.
func elfObstacle(f *elf.File, program bool) error {
	want := "linux/" + goruntime.GOARCH
	if _, ok := elffile.Machines[goruntime.GOARCH]; !ok {
		return fmt.Errorf("pack: this build is for %s, which has no native runtime: compile the function to WebAssembly", want)
	}
	if got := elfTarget(f); got != want {
		return fmt.Errorf("pack: the code is for %s (%v, %v), this build is for %s: compile it for that, or to WebAssembly", got, f.Class, f.Data, want)
	}
	if f.Type != elf.ET_DYN && !program {
		return fmt.Errorf("pack: the code is %s, must be a shared object or an executable: link it, with -shared -fPIC for a shared object", elfKind(f.Type))
	}
	return nil
}

func elfKind(t elf.Type) string {
	switch t {
	case elf.ET_REL:
		return "an object file"
	case elf.ET_CORE:
		return "a core dump"
	}
	return t.String()
}
