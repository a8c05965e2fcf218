package pack

import (
	"bytes"
	"fmt"
	"strconv"
)

// blockBytes is the size of a header; the content of a file is padded to a multiple.
const blockBytes = 512

// endBytes are the two blocks of zeros at the end of an archive.
const endBytes = 2 * blockBytes

// maxArchiveBytes bounds an archive. A header could hold sizes up to 8 GiB.
const maxArchiveBytes = 4 << 30

type block [blockBytes]byte

// header is the only valid header of a file with this name and size.
func header(name string, size int64) *block {
	b := new(block)
	copy(b[0:100], name)
	copy(b[100:], "0000444\x00") // mode
	copy(b[108:], "0000000\x00") // user
	copy(b[116:], "0000000\x00") // group
	copy(b[124:], fmt.Sprintf("%011o\x00", size))
	copy(b[136:], "00000000000\x00") // time
	copy(b[148:], "        ")        // the checksum is computed with spaces in its place
	b[156] = '0'                     // a regular file
	copy(b[257:], "ustar\x0000")
	copy(b[329:], "0000000\x00") // device numbers
	copy(b[337:], "0000000\x00")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// parseHeader parses a header, which has to equal header's.
func parseHeader(b *block) (name string, size int64, err error) {
	field, _, _ := bytes.Cut(b[:100], []byte{0})
	name = string(field)
	size, err = strconv.ParseInt(string(b[124:135]), 8, 64)
	if err == nil && size >= 0 && *b == *header(name, size) {
		return name, size, nil
	}
	return "", 0, notCanonical(b, name)
}

// kinds are the types of entries that packages cannot have.
var kinds = map[byte]string{
	'1': "a hard link", '2': "a symbolic link", '3': "a device", '4': "a device", '5': "a folder", '6': "a named pipe",
	'x': "an extended header", 'g': "an extended header", 'L': "an extended header", 'K': "an extended header", 'S': "a sparse file",
}

// notCanonical says why a header is not valid.
func notCanonical(b *block, name string) error {
	if string(b[257:262]) != "ustar" {
		return fmt.Errorf("there is no header of a file: this is not a package, or it is damaged")
	}
	if kind, ok := kinds[b[156]]; ok {
		return fmt.Errorf("%s is %s: packages have regular files only; make them with 'rfaas pack'", shown(name), kind)
	}
	return fmt.Errorf("the header of %s is not canonical: it is damaged, or another program made the archive; make packages with 'rfaas pack'", shown(name))
}

// padding is how many zeros follow the content of a file.
func padding(size int64) int64 { return -size & (blockBytes - 1) }

// archiveBytes is the size of a file in an archive, with header and padding.
func archiveBytes(size int64) int64 { return blockBytes + size + padding(size) }

var zeros block
