package wasm

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/pages"
)

// grow grows the memory in steps of a mebibyte as far as it can, writes to the last word of
// each step, and returns the number of pages.
var grow = entry("grow", loop(i32(16), op["memory.grow"], i32(0), []byte{0x4e}, op["if"],
	op["memory.size"], i32(16), []byte{0x74}, i32(4), op["sub"], i32(7), op["store"], []byte{0x0c, 1}, op["end"]), storing(op["memory.size"]))

// A memory grows in place, up to its limit.
func TestMemoryGrowsInPlace(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, config Config) {
		for _, c := range []struct {
			limit         uint64
			maxPages      uint32
			pages, places int
		}{{1 << 20, 0, 1, 16}, {1<<20 + 5<<16, 0, 17, 21}, {64 << 20, 0, 64*16 - 15, 1024}, {64 << 20, 40, 33, 40}} {
			config.MemoryBytes = c.limit
			m := load(t, assemble(program{functions: []function{grow, entry("echo", echo)}, maxPages: c.maxPages}), config)
			first, ok := m.current.Load().memory.Read(0, 1)
			require.True(t, ok)
			out := make([]byte, 16)
			n, err := entryPoint(t, m, "grow")(t.Context(), nil, out)
			require.NoError(t, err)
			require.Equal(t, []byte{byte(c.pages), byte(c.pages >> 8), 0, 0}, out[:n], c)
			memory := m.current.Load().memory
			_, ok = memory.Grow(uint32(c.places - c.pages))
			require.True(t, ok, "the rest is for smaller steps")
			_, ok = memory.Grow(1)
			require.False(t, ok)
			last, ok := memory.Read(0, 1)
			require.True(t, ok)
			require.Equal(t, pages.Address(first), pages.Address(last))
			afterwards(t, m)
		}
	})
}

// Reserved memory is released with each instance, also if a module cannot be instantiated. Not
// parallel: it would count the mappings of other tests.
func TestMemoryIsGivenBack(t *testing.T) {
	const most = 3<<30 - 5<<16 // a size that no other mapping has
	reserved := func() (n int) {
		maps, err := os.ReadFile("/proc/self/maps")
		require.NoError(t, err)
		for line := range strings.Lines(string(maps)) {
			span, rest, _ := strings.Cut(line, " ")
			from, to, _ := strings.Cut(span, "-")
			begin, _ := strconv.ParseUint(from, 16, 64)
			end, _ := strconv.ParseUint(to, 16, 64)
			if size := end - begin; strings.HasPrefix(rest, "---p") && size > most-1<<20 && size < most {
				n++
			}
		}
		return n
	}
	trap := entry("trap", op["unreachable"])
	m, err := Load(t.Context(), entries(trap, entry("echo", echo)), Config{MemoryBytes: most, Spares: -1})
	require.NoError(t, err)
	require.Equal(t, 1, reserved())
	for range 3 {
		_, err := entryPoint(t, m, "trap")(context.Background(), nil, nil)
		require.Error(t, err)
		require.Zero(t, reserved())
		afterwards(t, m)
		require.Equal(t, 1, reserved())
	}
	require.NoError(t, m.Close())
	require.Zero(t, reserved())
	m, err = Load(t.Context(), upper, Config{MemoryBytes: most, Spares: -1})
	require.NoError(t, err)
	for range 3 {
		_, err := entryPoint(t, m, "_start")(context.Background(), nil, nil)
		require.NoError(t, err)
		require.Zero(t, reserved(), "a command has none after its run")
	}
	require.NoError(t, m.Close())
	_, err = Load(t.Context(), assemble(program{functions: []function{{"", typeNone, op["unreachable"]}, entry("echo", echo)}, start: 0, data: strings.Repeat("x", 1<<17)}), Config{MemoryBytes: most})
	require.ErrorContains(t, err, "out of bounds")
	require.Zero(t, reserved())
}
