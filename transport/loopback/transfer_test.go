package loopback

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestTransfer compares transfer with appending and copying, for random pieces
// of random alignment.
func TestTransfer(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 0))
		from, to, want := make([]byte, 200), make([]byte, 200), make([]byte, 200)
		for i := range from {
			from[i] = byte(r.Uint32())
		}
		s0, s1 := r.IntN(70), r.IntN(70)
		src := segments{from[r.IntN(20):][:s0], from[100+r.IntN(20):][:s1]}
		d0 := r.IntN(s0 + s1 + 1)
		d1 := s0 + s1 - d0 + r.IntN(3)*r.IntN(2)
		a, b := 0, d0
		if d0 < 40 && r.IntN(2) == 0 {
			a, b = 159-d0, 0 // the second piece lies before the first
		}
		if b+d1 > 200 || a+d0 > 200 {
			continue
		}
		payload := append(bytes.Clone(src[0]), src[1]...)
		copy(want[b:][:d1], payload[copy(want[a:][:d0], payload):])
		transfer(segments{to[a:][:d0], to[b:][:d1]}, src)
		if !bytes.Equal(to, want) {
			t.Fatalf("seed %d: transfer of %d+%d bytes to %d+%d differs", seed, s0, s1, d0, d1)
		}
	}
}
