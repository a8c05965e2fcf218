package pages

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// mappings is where the kernel lists the mappings of this process, by address.
const mappings = "/proc/self/maps"

// Check reports, as an error, which part of mem is not mapped, not readable or, if
// asked for, not writable. It returns nil where the kernel does not list the
// mappings. It makes system calls: not for hot paths.
func Check(mem []byte, writable bool) error {
	f, err := os.Open(mappings)
	if err != nil {
		return nil
	}
	defer f.Close()
	from := Address(mem)
	return check(bufio.NewReaderSize(f, 64<<10), from, from+uint64(len(mem)), writable)
}

// check looks for the addresses from from to end (exclusive) in a list of mappings,
// which are in the order of addresses:
//
//	7f0000000000-7f0000001000 rw-p 00000000 fd:01 1234      /a/file
func check(list *bufio.Reader, from, end uint64, writable bool) error {
	for from < end {
		line, err := list.ReadSlice('\n')
		if err != nil && err != bufio.ErrBufferFull {
			break
		}
		m, ok := parseMapping(line)
		if !ok {
			return nil // an unknown format
		}
		for err == bufio.ErrBufferFull { // a long name, which does not matter
			_, err = list.ReadSlice('\n')
		}
		if m.end <= from {
			continue
		}
		if m.start > from {
			break
		}
		if !strings.HasPrefix(m.rights, "r") {
			return fmt.Errorf("the memory at %#x is not readable (%s)", from, m.rights)
		}
		if writable && !strings.HasPrefix(m.rights, "rw") {
			return fmt.Errorf("the memory at %#x is not writable (%s)", from, m.rights)
		}
		from = m.end
	}
	if from < end {
		return fmt.Errorf("there is no memory at %#x: it is not mapped", from)
	}
	return nil
}

type mapping struct {
	start, end uint64 // end exclusive
	rights     string // such as rw-p
}

func parseMapping(line []byte) (m mapping, ok bool) {
	addresses, rest, ok1 := bytes.Cut(line, []byte(" "))
	rights, _, ok2 := bytes.Cut(rest, []byte(" "))
	start, end, ok3 := strings.Cut(string(addresses), "-")
	var err1, err2 error
	m.start, err1 = strconv.ParseUint(start, 16, 64)
	m.end, err2 = strconv.ParseUint(end, 16, 64)
	m.rights = string(rights)
	return m, ok1 && ok2 && ok3 && err1 == nil && err2 == nil
}
