package transporttest

import (
	"bytes"
	"testing"
)

func TestPattern(t *testing.T) {
	t.Parallel()
	const p, n, from = pattern(12345), 3*tapeBytes/2 + 5, 77
	mem := make([]byte, n)
	p.fill(mem, from)
	if err := p.check(mem, from); err != nil {
		t.Fatal(err)
	}
	// In pieces it is the same.
	pieces := make([]byte, n)
	for at := 0; at < n; at += 9999 {
		p.fill(pieces[at:min(n, at+9999)], from+at)
	}
	if !bytes.Equal(mem, pieces) {
		t.Fatal("a pattern filled in pieces differs")
	}
	for _, at := range []int{0, 1, n / 2, tapeBytes - from, n - 1} {
		mem[at] ^= 1
		if p.check(mem, from) == nil {
			t.Errorf("a change of byte %d is not noticed", at)
		}
		mem[at] ^= 1
	}
	for _, other := range []struct {
		p    pattern
		from int
	}{{p, from + 1}, {p, from - 1}, {p, from + 4096}, {p + 1, from}} {
		if other.p.check(mem[:32], other.from) == nil {
			t.Errorf("pattern %d from %d is not told from pattern %d from %d", other.p, other.from, p, from)
		}
	}
}
