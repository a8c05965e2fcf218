package transporttest

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
)

// pattern is an endless run of pseudo-random bytes. Two different patterns
// differ from their first few bytes on, and none repeats within a page, so a byte
// that is missing, doubled or misplaced is noticed.
type pattern uint64

// tapeBytes is odd and no multiple of anything that memory is divided by.
const tapeBytes = 1<<20 + 7

// tape holds the bytes of all patterns; each begins at a place of its own.
var tape = sync.OnceValue(func() []byte {
	b := make([]byte, tapeBytes)
	random := rand.NewChaCha8([32]byte{'t', 'a', 'p', 'e'})
	random.Read(b)
	return b
})

// start is where the byte at index i of the pattern is on the tape.
func (p pattern) start(i int) int {
	const spread = 0x9e3779b97f4a7c15
	return int((uint64(p)*spread>>20 + uint64(i)) % tapeBytes)
}

// fill stores the pattern's bytes from index i on.
func (p pattern) fill(dst []byte, i int) {
	for at := p.start(i); len(dst) > 0; at = 0 {
		n := copy(dst, tape()[at:])
		dst = dst[n:]
	}
}

// check compares with the pattern's bytes from index i on.
func (p pattern) check(got []byte, i int) error {
	for done := 0; done < len(got); {
		want := tape()[p.start(i+done):]
		part := got[done:min(len(got), done+len(want))]
		if !bytes.Equal(part, want[:len(part)]) {
			for k := range part {
				if part[k] != want[k] {
					return fmt.Errorf("byte %d of %d is %#02x, not %#02x", done+k, len(got), part[k], want[k])
				}
			}
		}
		done += len(part)
	}
	return nil
}
