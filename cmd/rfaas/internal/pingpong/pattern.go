package pingpong

import (
	"bytes"
	"fmt"
	"os"
)

const (
	filling   = 0x7b // of memory, as the tool has it
	pageStart = 0    // first byte of each page when messages are checked
	cleared   = 0xff // of memory that a message has yet to fill
)

// pattern is a message that can be checked.
func pattern(size int) []byte {
	b := bytes.Repeat([]byte{filling}, size)
	for i := 0; i < size; i += os.Getpagesize() {
		b[i] = pageStart
	}
	return b
}

func fill(b []byte, value byte) {
	for i := range b {
		b[i] = value
	}
}

// compare tells where a message is not what it should be.
func compare(got, want []byte) error {
	if bytes.Equal(got, want) {
		return nil
	}
	i := 0
	for got[i] == want[i] {
		i++
	}
	hint := ""
	if want[i] == pageStart && got[i] == filling {
		hint = "; does the client run with --chk, and do both ends have the same page size?"
	}
	return fmt.Errorf("byte %d is %#02x instead of %#02x%s", i, got[i], want[i], hint)
}
