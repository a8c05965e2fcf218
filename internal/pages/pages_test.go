package pages_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pages"
)

func TestAlloc(t *testing.T) {
	for _, size := range []int{1, 8, os.Getpagesize(), os.Getpagesize() + 1, 1 << 20} {
		mem, free, err := pages.Alloc(size)
		require.NoError(t, err)
		require.Len(t, mem, size)
		require.Zero(t, pages.Address(mem)%uint64(os.Getpagesize()))
		for i, b := range mem {
			require.Zero(t, b, "byte %d of %d", i, size)
		}
		mem[0], mem[size-1] = 1, 1
		require.NoError(t, free())
	}
}

func TestAllocTooMuch(t *testing.T) {
	_, _, err := pages.Map(1 << 62)
	require.ErrorContains(t, err, "mapping 4611686018427387904 bytes: ")
}

func TestWord(t *testing.T) {
	mem, free, err := pages.Alloc(24)
	require.NoError(t, err)
	pages.Word(mem[8:]).Store(0x0807060504030201)
	require.Equal(t, []byte{1, 2, 3, 4, 5, 6, 7, 8}, mem[8:16])
	require.Nil(t, pages.Word(mem[1:]), "not aligned")
	require.Nil(t, pages.Word(mem[17:]), "too short")
	require.Nil(t, pages.Word(nil))
	require.NoError(t, free())
}
