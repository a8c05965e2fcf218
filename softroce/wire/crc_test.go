package wire

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// checkRegister compares the ways to shift b into a register with the tables, wherever
// b and its copy begin within a line of the cache.
func checkRegister(t *testing.T, r uint32, b []byte, at, copyAt int) {
	t.Helper()
	const guard = 0xa5
	from := append(bytes.Repeat([]byte{guard}, at), b...)[at:]
	room := bytes.Repeat([]byte{guard}, copyAt+len(b)+64)
	want := registerShort(r, b)
	require.Equal(t, want, register(r, from), "register %#x, %d bytes at %d", r, len(b), at)
	require.Equal(t, want, registerCopy(r, room[copyAt:], from), "register %#x, %d bytes at %d, copied to %d", r, len(b), at, copyAt)
	require.Equal(t, b, from)
	require.Equal(t, b, room[copyAt:][:len(b)])
	for i, c := range room {
		if i < copyAt || i >= copyAt+len(b) {
			require.EqualValues(t, guard, c, "%d bytes copied to %d, and what is at %d", len(b), copyAt, i)
		}
	}
}

// TestRegister: the processor's instructions do what the tables do, for every length of
// a packet and a little more.
func TestRegister(t *testing.T) {
	t.Parallel()
	t.Logf("with the processor's instructions of its own: %v", folds)
	r := random()
	b := randomBytes(r, MaxDatagramBytes+2*foldBytes)
	for n := range len(b) + 1 {
		checkRegister(t, r.Uint32(), b[:n], r.IntN(64), r.IntN(64))
	}
}

func FuzzRegister(f *testing.F) {
	for _, n := range []int{0, shortBytes, foldBytes - 1, foldBytes, 2*foldBytes + blockBytes + 1} {
		f.Add(^uint32(0), randomBytes(random(), n), uint8(12), uint8(28))
	}
	f.Fuzz(func(t *testing.T, r uint32, b []byte, at, copyAt uint8) {
		checkRegister(t, r, b, int(at), int(copyAt))
		long := bytes.Repeat(b, 1+2*foldBytes/(len(b)+1)) // short inputs are what a fuzzer makes
		checkRegister(t, r, long, int(at), int(copyAt))
	})
}

func BenchmarkRegister(b *testing.B) {
	from, to := make([]byte, 1<<20), make([]byte, 256<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{foldBytes, MaxPayloadBytes} {
		b.Run(map[int]string{foldBytes: "256", MaxPayloadBytes: "4096"}[n], func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				register(1, from[r.IntN(len(from)/n)*n:][:n])
			}
		})
		b.Run(map[int]string{foldBytes: "copy of 256", MaxPayloadBytes: "copy of 4096"}[n], func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				registerCopy(1, to[r.IntN(len(to)/n)*n:], from[r.IntN(len(from)/n)*n:][:n])
			}
		})
	}
}
