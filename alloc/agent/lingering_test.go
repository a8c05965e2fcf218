package agent_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/alloc"
	"github.com/rfaas-go/rfaas/alloc/agent"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// When a lease has ended its core is free at once. A result that its client has in place
// yet, which the worker has written, keeps that much memory of the node, if the kernel
// counts it.
func TestMemoryThatAClientHolds(t *testing.T) {
	t.Parallel()
	const bytes = 16 << 20
	a, address := newAgent(t, func(*agent.Config) {})
	digest := [32]byte{1}
	require.NoError(t, a.Offer(t.Context(), digest, &agent.Program{
		Runtime: runtime.Go, Functions: []executor.Function{{Name: "fill", Entry: "fill"}},
	}))
	report, err := a.Confinement(t.Context())
	require.NoError(t, err)
	whole := a.Free()
	p, _ := lease(t, address, alloc.Order{Digest: digest, PayloadBytes: bytes})
	held := func() int64 { return whole.MemoryBytes - a.Free().MemoryBytes }
	closed := make(chan error, 1)
	_, err = p.CallInPlace(soon(t), "fill", client.InPlace{
		ResultBytes: bytes,
		Fill:        func([]byte) (int, error) { return 0, nil },
		Take: func(result []byte) error {
			require.Len(t, result, bytes)
			go func() { closed <- p.Close() }() // not a.Revoke: the pool would lease the core again
			require.Eventually(t, func() bool { return a.Free().Cores == 1 }, patience, time.Millisecond)
			if report.Applied(confine.MemoryLimit) {
				require.Greater(t, held(), int64(bytes/2))
				const slots = 1 << 20 // more than these, and the memory of events
				require.Less(t, held(), int64(2*bytes+slots), "no more than is held: a result, and the input of it")
			} else {
				require.Zero(t, held(), report.Detail(confine.MemoryLimit))
			}
			return nil
		},
	})
	require.NoError(t, err)
	require.NoError(t, <-closed)
	require.Eventually(t, func() bool { return held() < bytes/8 }, patience, time.Millisecond)
}
