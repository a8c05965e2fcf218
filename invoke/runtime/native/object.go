package native

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"

	"github.com/rfaas-go/rfaas/internal/elffile"
)

// check returns an error for a file that cannot be a shared object for this machine. The
// loader reports some of these as "No such file or directory", and crashes on a file that
// was cut off.
func check(f io.ReaderAt, size int64) error {
	var head [20]byte // as far as the machine; the same in both classes
	if _, err := f.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if string(head[:4]) != elf.ELFMAG {
		return fmt.Errorf("not an ELF file, it begins with %q; build a shared object, with gcc -shared -fPIC", strings.TrimRight(string(head[:4]), "\x00"))
	}
	class, data := elf.Class(head[elf.EI_CLASS]), elf.Data(head[elf.EI_DATA])
	kind, machine := elf.Type(uint16(head[16])|uint16(head[17])<<8), elf.Machine(uint16(head[18])|uint16(head[19])<<8)
	if data == elf.ELFDATA2MSB {
		kind, machine = elf.Type(uint16(head[17])|uint16(head[16])<<8), elf.Machine(uint16(head[19])|uint16(head[18])<<8)
	}
	switch want := elffile.Machines[runtime.GOARCH]; {
	case machine != want || class != elf.ELFCLASS64 || data != elf.ELFDATA2LSB:
		return fmt.Errorf("built for another machine (%v, %v, %v), this one is %v; build it for %s", machine, class, data, want, runtime.GOARCH)
	case kind != elf.ET_DYN:
		return fmt.Errorf("an ELF file, but no shared object (%v); link it with gcc -shared", kind)
	}
	file, err := elffile.Open(f)
	if err != nil {
		return fmt.Errorf("damaged or cut off: %w", err)
	}
	for _, p := range file.Progs {
		if end := p.Off + p.Filesz; p.Type == elf.PT_LOAD && (end < p.Off || end > uint64(size)) {
			return fmt.Errorf("cut off: it has %d bytes, and a segment that ends at %d", size, end)
		}
	}
	return nil
}

// entries are the functions that an object exports, sorted. known is false if the file has
// no section headers.
func entries(f io.ReaderAt) (names []string, known bool) {
	file, err := elffile.Open(f)
	if err != nil {
		return nil, false
	}
	symbols, err := file.DynamicSymbols()
	if err != nil {
		return nil, false
	}
	for _, s := range symbols {
		if elffile.Exports(s) {
			names = append(names, s.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), true
}

// advice says what to do about an error of the loader.
func advice(loader string) string {
	switch {
	case strings.Contains(loader, "Cannot allocate memory"):
		return "allow the process more memory (RLIMIT_AS, vm.max_map_count)"
	case strings.Contains(loader, "undefined symbol: _Z"):
		return "build it with g++ or clang++ in place of gcc or clang, which leave out the library of C++, or link what else defines it"
	case strings.Contains(loader, "undefined symbol"):
		return "link the library that defines it into the object, or statically (gcc -shared ... -lNAME); `nm -D --undefined-only` lists what it needs"
	case strings.Contains(loader, "version `"):
		return "it was built for a newer library than this machine has: build it on an older system, or link statically"
	case strings.Contains(loader, "cannot open shared object file"):
		return "put the library where the object looks for it (gcc -Wl,-rpath,'$ORIGIN', when it is opened by its path), or link it statically; `ldd` lists what it needs"
	case strings.Contains(loader, "failed to map segment"), strings.Contains(loader, "Operation not permitted"):
		return "it must lie on a file system that is not mounted noexec, and the process must be allowed to map it executable"
	case strings.Contains(loader, "static TLS"):
		return "build it with -ftls-model=global-dynamic"
	}
	return "`ldd -r` says more about it"
}

// noEntry is the error about a missing function.
func noEntry(object, entry string, names []string, known bool) error {
	const most = 16 // names shown
	s := fmt.Sprintf("native: %s has no function %q", object, entry)
	switch {
	case !known:
		return errors.New(s)
	case len(names) == 0:
		return errors.New(s + "; it has none at all that others can call (-fvisibility=hidden?)")
	}
	if mangled := elffile.MangledAs(entry, names); mangled != "" {
		return fmt.Errorf("%s, but %s, which looks like its name in C++ or Rust: %s", s, mangled, elffile.Unmangle)
	}
	s += "; there are: " + strings.Join(names[:min(len(names), most)], ", ")
	if len(names) > most {
		s += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return errors.New(s)
}
