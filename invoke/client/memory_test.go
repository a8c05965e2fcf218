package client_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// TestMemoryAndLosses: calls with inputs and results in registered memory are made again
// when their workers are lost, with what they need, and answer into the same memory.
func TestMemoryAndLosses(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"loopback:", "shm:", "softroce:"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, url)
			m, err := invoke.NewMemory(s.dev)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, m.Close()) })
			s.client.Memory = m
			s.register("add", func(_ context.Context, in, out []byte) (int, error) {
				for i := 0; i < len(in); i += 8 {
					binary.LittleEndian.PutUint64(out[i:], binary.LittleEndian.Uint64(in[i:])+1)
				}
				return len(in), nil
			}, invoke.Idempotent(true))
			p := s.open(client.Config{Lanes: 3, Attempts: 100, BackoffMin: 1})
			const callers, bytesEach, losses = 4, 200 << 10, 10
			calls := effort.Of(30, 200)
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			mem, err := m.Alloc(2 * callers * bytesEach)
			require.NoError(t, err)
			var callersEnd sync.WaitGroup
			for i := range callers {
				callersEnd.Go(func() {
					in, out := mem[2*i*bytesEach:][:bytesEach], mem[(2*i+1)*bytesEach:][:bytesEach]
					for round := range calls {
						for j := 0; j < bytesEach; j += 8 {
							binary.LittleEndian.PutUint64(in[j:], uint64(i<<40+round<<20+j))
						}
						n, err := p.Call(soon(t), "add", in, out)
						if err != nil || n != bytesEach {
							t.Errorf("caller %d, round %d: %d bytes: %v", i, round, n, err)
							return
						}
						for j := 0; j < bytesEach; j += 8 {
							if got := binary.LittleEndian.Uint64(out[j:]); got != uint64(i<<40+round<<20+j)+1 {
								t.Errorf("caller %d, round %d: word %d is %#x", i, round, j/8, got)
								return
							}
						}
					}
				})
			}
			random := rand.New(rand.NewPCG(seed, 0))
			for n := range losses {
				eventually(t, "calls to go on", func() bool { return p.Stats().Calls > uint64(n*callers*calls/(losses+1)) || t.Failed() })
				workers := s.dialed()
				workers[max(0, len(workers)-1-random.IntN(3))].stream.Close()
			}
			callersEnd.Wait()
			require.NoError(t, p.Close())
		})
	}
}
