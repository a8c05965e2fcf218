package pages_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/internal/pages"
)

func TestGuard(t *testing.T) {
	page := os.Getpagesize()
	mem, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	defer unix.Munmap(mem)
	require.NoError(t, unix.Mprotect(mem[page:], unix.PROT_READ))

	data := make([]byte, 100)
	data[0] = 1
	require.Nil(t, pages.Guard(func() { copy(mem, data) }))
	fault := pages.Guard(func() { copy(mem[page-50:], data) })
	require.NotNil(t, fault)
	require.Equal(t, pages.Address(mem[page:]), fault.Address)
	require.True(t, fault.In(mem))
	require.True(t, fault.In(mem[page:]))
	require.False(t, fault.In(mem[:page]))
	require.False(t, fault.In(nil))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		pages.Guard(func() { copy(mem, data) })
	}))

	// Everything else passes.
	require.PanicsWithValue(t, "other", func() { pages.Guard(func() { panic("other") }) })
	var none *[8]byte
	require.Panics(t, func() { pages.Guard(func() { none[0] = 1 }) })
	require.Panics(t, func() { pages.Guard(func() { data[len(mem)] = 1 }) })
}

func BenchmarkGuard(b *testing.B) {
	dst, src := make([]byte, 8), make([]byte, 8)
	for b.Loop() {
		pages.Guard(func() { copy(dst, src) })
	}
}
