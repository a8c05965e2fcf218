package invoke_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke"
)

// newMemory makes registered memory for clients of the stand.
func (s *stand) newMemory(t *testing.T) *invoke.Memory {
	t.Helper()
	m, err := invoke.NewMemory(s.dev)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	return m
}

func allocate(t *testing.T, m *invoke.Memory, n int) []byte {
	t.Helper()
	mem, err := m.Alloc(n)
	require.NoError(t, err)
	require.Len(t, mem, n)
	return mem
}

// TestMemory: inputs and results anywhere in registered memory, or one of them, or
// neither, come to the same; nothing else is written; and what is there is not copied.
func TestMemory(t *testing.T) {
	everyNetwork(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		m := s.newMemory(t)
		c := s.dial(t, invoke.ClientConfig{Memory: m})
		f := s.register(t, c, "resize", resize)
		most := 3 << 20
		if effort.Race() || slow(url) {
			most = 300 << 10
		}
		ins, outs := allocate(t, m, 2*most), allocate(t, m, 2*most)
		guard := pattern(len(outs), 9)
		metadata := invoke.CallOptions{Metadata: invoke.Metadata{"a": "b"}}
		for _, n := range []int{8, slot - 8, slot, slot + 8, 256<<10 + 8, most} {
			for _, size := range []int{0, slot, slot + 1, most - 1} {
				in := ins[88:][:n]
				copy(in, resizing(n, size))
				for i, out := range [][]byte{outs[33:][:size], make([]byte, size)} {
					for _, options := range []invoke.CallOptions{{}, metadata} {
						copy(outs, guard)
						got, err := c.Call(soon(t), f, in, out, options)
						require.NoError(t, err)
						require.True(t, got == size && bytes.Equal(out, pattern(size, 2)))
						if i == 0 {
							require.True(t, bytes.Equal(outs[:33], guard[:33]) && bytes.Equal(outs[33+size:], guard[33+size:]))
						}
					}
				}
				got, err := c.Call(soon(t), f, bytes.Clone(in), outs[:size]) // a buffer is lent for the input
				require.NoError(t, err)
				require.True(t, got == size && bytes.Equal(outs[:size], pattern(size, 2)))
			}
		}
		if effort.Race() || slow(url) {
			return
		}
		require.NoError(t, c.Close())
		c = s.dial(t, invoke.ClientConfig{Memory: m})
		f = find(t, c, "resize")
		copy(ins, resizing(most, most))
		_, err := c.Call(soon(t), f, ins[:most], outs[:most])
		require.NoError(t, err)
		require.Less(t, c.HeldBytes(), int64(2*slot), "there is room for headers and short results")
	})
}

// TestMemoryOfClients: several clients use the same memory; it can be freed while they
// are there, and they can go while it is.
func TestMemoryOfClients(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		m := s.newMemory(t)
		const n = 200 << 10
		c, other := s.dial(t, invoke.ClientConfig{Memory: m}), s.dial(t, invoke.ClientConfig{Memory: m})
		f := s.register(t, c, "resize", resize)
		theirs := find(t, other, "resize")
		mem := allocate(t, m, 3*n)
		copy(mem, resizing(n, n))
		a, err := c.Go(soon(t), f, mem[:n], invoke.CallOptions{Room: n, Out: mem[n:][:n]})
		require.NoError(t, err)
		b, err := other.Go(soon(t), theirs, mem[:n], invoke.CallOptions{Room: n, Out: mem[2*n:]})
		require.NoError(t, err)
		got, err := a.Wait(soon(t), mem[n:][:n])
		require.NoError(t, err)
		require.True(t, got == n && bytes.Equal(mem[n:][:n], pattern(n, 2)))
		elsewhere := make([]byte, n) // other memory than it was said
		got, err = b.Wait(soon(t), elsewhere)
		require.NoError(t, err)
		require.True(t, got == n && bytes.Equal(elsewhere, pattern(n, 2)))

		require.NoError(t, c.Close())
		_, err = other.Call(soon(t), theirs, mem[:n], mem[n:][:n])
		require.NoError(t, err)
		_, err = invoke.Dial(soon(t), openDevice(t, url), "unix", s.address, invoke.ClientConfig{Memory: m})
		require.ErrorContains(t, err, "Memory is of another device")
		require.ErrorContains(t, m.Free(mem[:n]), "are not what Alloc returned")
		require.NoError(t, m.Free(mem))
		require.ErrorContains(t, m.Free(mem), "or were freed before")
		mem = allocate(t, m, 2*n)
		copy(mem, resizing(n, n))
		_, err = other.Call(soon(t), theirs, mem[:n], mem[n:])
		require.NoError(t, err)
	})
}

// TestMemoryOfCallsGivenUp: a result that comes when nobody wants it any more is not written into
// memory that is the caller's again, and the worker does not keep it.
func TestMemoryOfCallsGivenUp(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const n = 200 << 10
		s := serve(t, url, invoke.WorkerConfig{CallBytes: 2 * n, ClientBytes: 3 * n})
		m := s.newMemory(t)
		c := s.dial(t, invoke.ClientConfig{Memory: m})
		entered, release := make(chan struct{}, 100), make(chan struct{})
		f := s.register(t, c, "late", func(_ context.Context, in, out []byte) (int, error) {
			entered <- struct{}{}
			<-release
			return copy(out, pattern(n, 2)), nil
		})
		mem := allocate(t, m, 2*n)
		for range 3 {
			future, err := c.Go(soon(t), f, mem[:n], invoke.CallOptions{Room: n, Out: mem[n:]})
			require.NoError(t, err)
			receive(t, entered)
			ctx, cancel := context.WithCancel(soon(t))
			cancel()
			_, err = future.Wait(ctx, mem[n:])
			require.ErrorIs(t, err, invoke.ErrCanceled)
			release <- struct{}{}
		}
		close(release)
		for range 3 {
			future, err := c.Go(soon(t), f, mem[:n], invoke.CallOptions{Room: n, Out: mem[n:]})
			require.NoError(t, err)
			eventually(t, "the answer", func() bool {
				ready, err := future.Ready()
				require.NoError(t, err)
				return ready
			})
			require.NoError(t, future.Abandon())
		}
		require.False(t, slices.ContainsFunc(mem[n:], func(b byte) bool { return b != 0 }), "nothing was written")
		got, err := c.Call(within(t, 10*time.Second), f, mem[:n], mem[n:])
		require.NoError(t, err)
		require.True(t, got == n && bytes.Equal(mem[n:], pattern(n, 2)))
	})
}

// TestDrainWaitsForResults: a worker has not drained before its clients have what they were
// offered.
func TestDrainWaitsForResults(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		const n = 200 << 10
		s := serve(t, url, invoke.WorkerConfig{})
		m := s.newMemory(t)
		c := s.dial(t, invoke.ClientConfig{Memory: m})
		f := s.register(t, c, "resize", resize)
		mem := allocate(t, m, n)
		future, err := c.Go(soon(t), f, resizing(8, n), invoke.CallOptions{Room: n, Out: mem})
		require.NoError(t, err)
		eventually(t, "the answer", func() bool {
			ready, err := future.Ready()
			require.NoError(t, err)
			return ready
		})
		drained := make(chan error, 1)
		go func() { drained <- s.worker.Drain(soon(t)) }()
		receive(t, c.Draining())
		_, err = c.Call(soon(t), f, resizing(8, 8), nil)
		require.ErrorIs(t, err, invoke.ErrRevoked)
		select {
		case err := <-drained:
			t.Fatalf("the worker has drained: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
		got, err := future.Wait(soon(t), mem)
		require.NoError(t, err)
		require.True(t, got == n && bytes.Equal(mem, pattern(n, 2)))
		require.NoError(t, receive(t, drained))
	})
}
