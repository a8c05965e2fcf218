package benchmarks

import (
	"bytes"
	"io"
)

// maxShortLength is the longest thing whose length WebAssembly writes in one byte.
const maxShortLength = 127

// withSection reads a WebAssembly module and then one more custom section of it.
// Name and content are short: maxShortLength bytes with the byte before the name.
func withSection(module io.ReaderAt, name string, content []byte) io.Reader {
	const custom = 0 // the section's id
	length := 1 + len(name) + len(content)
	if length > maxShortLength {
		panic("benchmarks: a section that is too long")
	}
	section := append([]byte{custom, byte(length), byte(len(name))}, name...)
	return io.MultiReader(io.NewSectionReader(module, 0, 1<<62), bytes.NewReader(append(section, content...)))
}
