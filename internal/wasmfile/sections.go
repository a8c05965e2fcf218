// Package wasmfile reads untrusted WebAssembly modules, and has rFaaS's convention for them.
// The format: https://webassembly.github.io/spec/core/binary/modules.html
package wasmfile

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// Header is the beginning of a module: magic number, and version.
const Header = "\x00asm\x01\x00\x00\x00"

// Sections by their number.
const (
	Custom    = 0
	Types     = 1
	Imports   = 2
	Functions = 3
	Tables    = 4
	Memories  = 5
	Globals   = 6
	Exports   = 7
	Start     = 8
	Elements  = 9
	Code      = 10
	Data      = 11
	DataCount = 12
)

// order is the order of sections. Custom ones can be anywhere.
var order = []byte{Types, Imports, Functions, Tables, Memories, Globals, Exports, Start, Elements, DataCount, Code, Data}

// Place is the index of a section in the order of sections; -1 for a custom or unknown one.
func Place(section byte) int { return slices.Index(order, section) }

// Section is the place of a section's content.
type Section struct {
	ID       byte
	At, Size int64 // in bytes
}

const maxHeadBytes = 1 + 5 // of a section: its number, and its size

// Sections yields the sections of a module, up to the first error. Contents are not read.
func Sections(r io.ReaderAt, size int64) iter.Seq2[Section, error] {
	return func(yield func(Section, error) bool) {
		header := make([]byte, len(Header))
		n, _ := r.ReadAt(header, 0)
		if string(header[:n]) == ComponentHeader {
			yield(Section{}, ErrComponent)
			return
		}
		if string(header[:n]) != Header {
			yield(Section{}, errors.New(`it does not begin with "\0asm" and version 1: not a WebAssembly module`))
			return
		}
		head, last := make([]byte, maxHeadBytes), -1
		for at := int64(len(Header)); at < size; {
			n, _ := r.ReadAt(head[:min(maxHeadBytes, size-at)], at) // missing bytes are an error below
			in := Reader{Data: head[:n]}
			s := Section{ID: in.Byte(), Size: int64(in.U32())}
			s.At = at + int64(in.At)
			place := Place(s.ID)
			switch {
			case in.Err != nil || s.Size > size-s.At:
				yield(s, fmt.Errorf("section %d at byte %d does not end within the module", s.ID, at))
				return
			case s.ID == Custom:
			case place <= last:
				yield(s, fmt.Errorf("section %d at byte %d is unknown, repeated or at the wrong place", s.ID, at))
				return
			default:
				last = place
			}
			if !yield(s, nil) {
				return
			}
			at = s.At + s.Size
		}
	}
}
