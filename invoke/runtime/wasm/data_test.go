package wasm

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
)

func active(at uint32, content string) []byte {
	return cat([]byte{0}, i32(int32(at)), []byte{opEnd}, appendBytes(nil, []byte(content)))
}

// apply writes a section's segments to memory.
func apply(t *testing.T, section, memory []byte) (segments uint32) {
	r := newReader(section)
	segments = r.Count()
	for range segments {
		require.Equal(t, []byte{0, opI32Const}, r.Bytes(2))
		at := uint32(r.i32())
		r.Fixed(opEnd)
		copy(memory[at:], r.Bytes(r.U32()))
	}
	r.End()
	require.NoError(t, r.Err)
	return segments
}

// Segments that lie close to each other become one, and write the same.
func TestDataIsJoined(t *testing.T) {
	t.Parallel()
	require.Equal(t, vector(active(8, "ab\x00\x00c"), active(1<<31, "d")),
		joinData(vector(active(8, "ab"), active(9, ""), active(12, "c"), active(1<<31, "d"), active(5, ""))))
	require.Equal(t, vector(), joinData(vector(active(7, ""))))
	require.Equal(t, vector(active(0, "a"), active(maxGap+2, "b")), joinData(vector(active(0, "a"), active(maxGap+2, "b"))))
	for _, kept := range [][]byte{
		vector(active(0, "abcdef"), active(1, "x"), active(4, "y")),                 // a gap over what is there
		vector(active(0, "a"), []byte{1, 1, 'b'}),                                   // passive
		vector(active(0, "a"), cat([]byte{2, 0}, active(1, "b")[1:])),               // with the number of a memory
		vector(active(0, "a"), cat([]byte{0, opGlobalGet, 0, opEnd, 1, 'b'})),       // where a global says
		vector(active(0, "a"), cat([]byte{0}, i32(1), i32(1), []byte{0x6a, 11, 0})), // where a sum says
	} {
		require.Equal(t, kept, joinData(kept))
	}

	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		var segments [][]byte
		at := uint32(0)
		for range random.IntN(40) {
			content := make([]byte, random.IntN(20))
			for i := range content {
				content[i] = byte(1 + random.IntN(255))
			}
			at += uint32(random.IntN(2 * maxGap))
			if random.IntN(20) == 0 {
				at = uint32(random.IntN(4000)) // back, and over what is there
			}
			segments = append(segments, active(at, string(content)))
			at += uint32(len(content))
		}
		var want, have [8192]byte
		apply(t, vector(segments...), want[:])
		require.LessOrEqual(t, apply(t, joinData(vector(segments...)), have[:]), uint32(len(segments)))
		require.True(t, want == have)
	}
}

// A module that refers to segments by their numbers keeps them.
func TestDataWithNumbersIsKept(t *testing.T) {
	t.Parallel()
	segments := vector(active(0, "a"), active(1, "b"))
	plain, _, err := instrument(inModule(wasmfile.Data, segments))
	require.NoError(t, err)
	require.Equal(t, vector(active(0, "ab")), sectionOf(t, plain, wasmfile.Data))
	counted := inModule(wasmfile.Data, segments)
	code := sectionOf(t, counted, wasmfile.Code)
	head := appendBytes([]byte{wasmfile.Code}, code)
	at := len(counted) - len(head) - len(appendBytes([]byte{wasmfile.Data}, segments))
	counted = cat(counted[:at:at], appendBytes([]byte{wasmfile.DataCount}, []byte{2}), counted[at:])
	out, _, err := instrument(counted)
	require.NoError(t, err)
	require.Equal(t, segments, sectionOf(t, out, wasmfile.Data))
}
