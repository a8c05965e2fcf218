package alloc_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/invoke"
)

// TestMemory: a leased worker is sent what lies in registered memory from there, and answers into it.
func TestMemory(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1, nil)
	device := openDevice(t)
	memory := must(invoke.NewMemory(device))
	t.Cleanup(func() { require.NoError(t, memory.Close()) })
	c := openClient(t, alloc.Config{Device: device, Agents: []string{s.address}, Memory: memory})
	p := newPool(t, c, alloc.Order{PayloadBytes: 4 << 20})
	in, out := must(memory.Alloc(1<<20)), must(memory.Alloc(1<<20+4096))
	for i := range in {
		in[i] = byte(i * 7)
	}
	n := must(p.Call(soon(t), "echo", in, out))
	require.Equal(t, in, out[:n])
	_, err := alloc.Open(t.Context(), alloc.Config{Device: openDevice(t), Agents: []string{s.address}, Memory: memory})
	require.ErrorContains(t, err, "Config.Memory is of another device")
	// Both are registered with the worker's connection, too.
	inventory := strings.Join(device.Inventory(), "\n")
	require.Equal(t, 2, strings.Count(inventory, "region of 1048576 bytes"), inventory)
	require.Equal(t, 2, strings.Count(inventory, "region of 1052672 bytes"), inventory)
}
