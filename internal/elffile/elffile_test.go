package elffile

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Open refuses this program with any one of the sections that are read marked as compressed.
func TestCompressed(t *testing.T) {
	t.Parallel()
	self, err := os.ReadFile("/proc/self/exe")
	require.NoError(t, err)
	f, err := Open(bytes.NewReader(self))
	require.NoError(t, err)
	var h elf.Header64
	require.NoError(t, binary.Read(bytes.NewReader(self), binary.LittleEndian, &h))
	const flagsAt = 8
	links := map[uint32]bool{uint32(h.Shstrndx): true}
	for _, s := range f.Sections {
		links[s.Link] = true
	}
	for i, s := range f.Sections[1:] {
		i++
		if s.Size == 0 || s.Type == elf.SHT_NOBITS {
			continue
		}
		marked := slices.Clone(self)
		at := int(h.Shoff) + i*int(h.Shentsize) + flagsAt
		binary.LittleEndian.PutUint64(marked[at:], uint64(s.Flags|elf.SHF_COMPRESSED))
		// The header of compressed content: zlib, and a very large size.
		if s.FileSize >= 24 {
			binary.LittleEndian.PutUint64(marked[s.Offset:], uint64(elf.COMPRESS_ZLIB))
			binary.LittleEndian.PutUint64(marked[s.Offset+8:], 1<<40)
			binary.LittleEndian.PutUint64(marked[s.Offset+16:], 1)
		}
		_, err := Open(bytes.NewReader(marked))
		if s.Type == elf.SHT_PROGBITS && s.Flags&elf.SHF_ALLOC == 0 && !links[uint32(i)] {
			require.NoError(t, err, s.Name) // debugging information
		} else {
			require.Error(t, err, s.Name)
			if s.FileSize >= 24 {
				require.ErrorContains(t, err, "compressed", s.Name)
			}
		}
	}
	_, err = Open(bytes.NewReader(self[:100]))
	require.Error(t, err)
	_, err = Open(bytes.NewReader(nil))
	require.Error(t, err)
}
