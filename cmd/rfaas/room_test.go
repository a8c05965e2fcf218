//go:build cgo

package main

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke/pack"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

func TestRoom(t *testing.T) {
	t.Parallel()
	const kib, mib = 1 << 10, 1 << 20
	for _, c := range []struct {
		kind        string
		slot        int
		memory      int64
		input       int64
		asked, want int
	}{
		{runtime.Native, 64 * kib, 256 * mib, 0, 0, 64 * mib},
		{runtime.Native, 64 * kib, mib, 65 * mib, 0, 65 * mib},
		{runtime.Native, 80 * mib, mib, 65 * mib, 0, 80 * mib},
		{runtime.Native, 80 * mib, mib, 65 * mib, 5, 5},
		{runtime.Native, 64 * kib, mib, 1 << 30, 0, 1 << 30},
		{runtime.Wasm, 64 * kib, 256 * mib, 5, 0, 64 * mib},
		{runtime.Wasm, 64 * kib, 1 << 30, 5, 0, 64 * mib},
		{runtime.Wasm, 64 * kib, 1 << 30, 100 * mib, 0, 100 * mib},
		{runtime.Wasm, 64 * kib, 64 * mib, 100 * mib, 0, 16 * mib},
		{runtime.Wasm, 512 * kib, mib, 5, 0, 512 * kib},
		{runtime.Wasm, 1 * kib, 128 * kib, 5, 0, 64 * kib},
		{runtime.Wasm, 64 * kib, 64 * mib, 5, 32 * mib, 32 * mib},
	} {
		f := &function{code: &code{runtime: c.kind, limits: pack.Manifest{SlotBytes: c.slot, MemoryBytes: c.memory}}}
		require.Equal(t, c.want, f.room(c.input, byteSize(c.asked)), "%+v", c)
	}
	own := &function{resultBytes: func(n int64) int64 { return 2 * n }}
	require.Equal(t, leastRoom, own.room(5, 0))
	require.Equal(t, 2*mib, own.room(mib, 0))
	require.Equal(t, 7, own.room(mib, 7))
}

// Both commands give the same room, of which nothing counts to a native function's
// memory, and which lies in a module's.
func TestRoomIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, dir+"/room.so", `
#include <stdint.h>
#include <string.h>
uint32_t room(void *args, uint32_t size, void *res) { memset(res, 'x', 17 << 20); return 17 << 20; }`)
	wasmModule(t, dir, "memory")
	write(t, dir, "in", "")
	room := func(name string) (stdouts []string) {
		for _, command := range [][]string{{"invoke", name, "--in", "in"}, {"run", "-f", name, "in"}} {
			stdout := succeed(t, dir, command...)
			stdouts = append(stdouts, stdout)
		}
		return stdouts
	}
	for _, stdout := range room("room.so") {
		require.Len(t, stdout, 17<<20)
	}
	for _, limit := range []int{1, effort.Of(64, 256)} {
		name := fmt.Sprintf("m%d.rfaas", limit)
		succeed(t, dir, "pack", "-o", name, "--memory", fmt.Sprint(limit, "MiB"), "memory.wasm")
		want := strconv.Itoa(limit << 10 / 4)
		require.Equal(t, []string{want, want}, room(name+":room"))
	}
	write(t, dir, "long", string(make([]byte, 300<<10)))
	const want = "too large: the result has 307200 bytes, there is room for 262144; allow more with --slot-bytes, and the package the memory that it takes with rfaas pack --memory\n"
	stderr := fails(t, dir, "invoke", "m1.rfaas:echo", "--in", "long")
	require.Equal(t, "rfaas invoke: echo: "+want, stderr)
	status, stdout, _ := run(t, dir, "run", "-f", "m1.rfaas:echo", "-o", "out", "long")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stdout, "long: "+want)
}

// A function that exceeds its room is refused, and so is one that says that it has more.
func TestPastTheRoom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	compile(t, dir+"/past.so", `
#include <stdint.h>
#include <string.h>
uint32_t by_far(void *args, uint32_t size, void *res) { memset(res, 'x', (64 << 20) + 5000); return (64 << 20) + 5000; }
uint32_t a_bit(void *args, uint32_t size, void *res) { memset(res, 'x', (1 << 20) + 1000); return 1; }
uint32_t more(void *args, uint32_t size, void *res) { return (64 << 20) + 5000; }`)
	write(t, dir, "in", "")
	for _, c := range []struct {
		function, want string
		args           []string
	}{
		{"by_far", `killed by signal 11 (segmentation fault) while function "by_far" ran, which went past the room for its result (67108864 bytes); allow more with --slot-bytes`, nil},
		{"a_bit", `while function "a_bit" ran, which went past the room for its result (1044480 bytes); allow more with --slot-bytes`, []string{"--slot-bytes", "1044480"}},
		{"more", `too large: the result has 67113864 bytes, there is room for 67108864; allow more with --slot-bytes`, nil},
	} {
		stderr := fails(t, dir, append([]string{"invoke", "past.so:" + c.function, "--in", "in"}, c.args...)...)
		require.Contains(t, stderr, c.want)
	}
	status, stdout, _ := run(t, dir, "run", "-f", "past.so:a_bit", "--slot-bytes", "1044480", "-o", "out", "in")
	require.Equal(t, exitFailed, status)
	require.Contains(t, stdout, "which went past the room for its result (1044480 bytes); allow more with --slot-bytes")
	succeed(t, dir, "invoke", "past.so:by_far", "--in", "in", "--slot-bytes", "65MiB")
}

// A module's memory grows in steps to its limit, isolated, and is refused more.
func TestMemoryGrowsToItsLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	wasmModule(t, dir, "memory")
	for _, limit := range []int{1, 16, effort.Of(64, 512)} {
		succeed(t, dir, "pack", "-o", "m.rfaas", "--memory", fmt.Sprint(limit, "MiB"), "memory.wasm")
		stdout := succeed(t, dir, "invoke", "m.rfaas:steps", "--slot-bytes", "4KiB")
		require.Len(t, stdout, limit-1, "the rest is less than a step")
	}
}
