// Package elffile opens untrusted ELF files.
package elffile

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Machines are the processors of native code, by Go's names.
var Machines = map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}

// Exports reports whether a dynamic symbol is a function that its file defines for others.
func Exports(s elf.Symbol) bool {
	const indirect = elf.STT_LOOS // STT_GNU_IFUNC: chosen when it is loaded
	kind, bind, visibility := elf.ST_TYPE(s.Info), elf.ST_BIND(s.Info), elf.ST_VISIBILITY(s.Other)
	return s.Section != elf.SHN_UNDEF && s.Name != "" &&
		(kind == elf.STT_FUNC || kind == indirect) &&
		(bind == elf.STB_GLOBAL || bind == elf.STB_WEAK) &&
		(visibility == elf.STV_DEFAULT || visibility == elf.STV_PROTECTED)
}

// Open reads the headers of a file, as elf.NewFile does, but refuses a file whose names,
// symbols or dynamic section are compressed: megabytes of them could become gigabytes, no
// linker makes such a file, and no loader could read it. Compressed debugging information
// is not read, and allowed.
func Open(r io.ReaderAt) (*elf.File, error) {
	if err := checkNames(r); err != nil {
		return nil, err
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return nil, err
	}
	for _, s := range f.Sections {
		if s.Type == elf.SHT_PROGBITS && s.Flags&elf.SHF_ALLOC == 0 {
			continue
		}
		compressed := s.Flags&elf.SHF_COMPRESSED != 0
		if link := int(s.Link); link < len(f.Sections) {
			compressed = compressed || f.Sections[link].Flags&elf.SHF_COMPRESSED != 0
		}
		if compressed {
			return nil, fmt.Errorf("the section %q, of type %v, or what it refers to, is compressed, which a loader cannot read", s.Name, s.Type)
		}
	}
	return f, nil
}

// checkNames checks the one section that elf.NewFile itself reads: the names of the others.
// If it cannot read it, elf.NewFile returns the error.
func checkNames(r io.ReaderAt) error {
	var ident [elf.EI_NIDENT]byte
	if _, err := r.ReadAt(ident[:], 0); err != nil {
		return nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(ident[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	read := func(at int64, into any) bool {
		return binary.Read(io.NewSectionReader(r, at, 64), order, into) == nil
	}
	section := func(table, each int64, index int) (flags uint64, link uint32, ok bool) {
		if elf.Class(ident[elf.EI_CLASS]) == elf.ELFCLASS32 {
			var s elf.Section32
			ok = read(table+each*int64(index), &s)
			return uint64(s.Flags), s.Link, ok
		}
		var s elf.Section64
		ok = read(table+each*int64(index), &s)
		return s.Flags, s.Link, ok
	}
	var table, each int64
	var names int
	if elf.Class(ident[elf.EI_CLASS]) == elf.ELFCLASS32 {
		var h elf.Header32
		if !read(0, &h) {
			return nil
		}
		table, each, names = int64(h.Shoff), int64(h.Shentsize), int(h.Shstrndx)
	} else {
		var h elf.Header64
		if !read(0, &h) {
			return nil
		}
		table, each, names = int64(h.Shoff), int64(h.Shentsize), int(h.Shstrndx)
	}
	if names == int(elf.SHN_XINDEX) {
		_, link, ok := section(table, each, 0)
		if !ok {
			return nil
		}
		names = int(link)
	}
	if flags, _, ok := section(table, each, names); ok && elf.SectionFlag(flags)&elf.SHF_COMPRESSED != 0 {
		return errors.New("the names of its sections are compressed, which no linker does")
	}
	return nil
}
