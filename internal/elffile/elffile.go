// Package elffile opens ELF files of strangers.
package elffile

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Open reads the headers of a file, as elf.NewFile does, but refuses one in which what is
// read later is compressed: names, symbols, what it needs. No linker makes such a file, a
// loader could not read it, and megabytes of it become gigabytes. Compressed debugging
// information is not touched by those methods of elf.File, and is no fault.
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

// checkNames looks at the one section that elf.NewFile reads itself, the names of the
// others. What it cannot read, elf.NewFile finds.
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
