package invoke_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/invoke"
	_ "github.com/rfaas-go/rfaas/transport/faulty"
)

// faultySeeds is over how many seeds each test of faults goes.
var faultySeeds = effort.Of(8, 20)

// TestBenignFaults: queues that are full for a while, completions that are late
// and wake-ups without a reason change nothing.
func TestBenignFaults(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		for seed := range faultySeeds {
			faulty := fmt.Sprintf("faulty+%s?seed=%d&queue-full=0.2&hold=0.2&wake=0.2", url, seed)
			s := serve(t, faulty, invoke.WorkerConfig{})
			c := s.dial(t, invoke.ClientConfig{Slots: 5})
			load(t, c, seed, 300, func(err error) { t.Fatalf("seed %d: %v", seed, err) })
			eventually(t, "all credits", func() bool {
				credits, err := c.Credits()
				require.NoError(t, err, "seed %d", seed)
				return credits == invoke.Credits{Free: 5}
			})
			require.NoError(t, c.Close())
			require.NoError(t, s.worker.Close())
			s.ended(t)
		}
	})
}

// TestFatalFaults: requests that fail and connections that are lost end a client
// with the right error, and nothing else: the worker takes the next one.
func TestFatalFaults(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		for seed := range faultySeeds {
			faulty := fmt.Sprintf("faulty+%s?seed=%d&status=0.003&disconnect=0.003&queue-full=0.1&hold=0.1&wake=0.1", url, seed)
			s := serve(t, faulty, invoke.WorkerConfig{})
			lost := 0
			for range 10 {
				c, err := invoke.Dial(soon(t), s.dev, "unix", s.address, invoke.ClientConfig{Slots: 5})
				require.NoError(t, err, "seed %d", seed)
				failed := false
				load(t, c, seed, 200, func(err error) {
					gone := (*invoke.GoneError)(nil)
					require.ErrorAs(t, err, &gone, "seed %d", seed)
					require.NotNil(t, gone.Err, "seed %d", seed)
					require.NotErrorIs(t, err, context.DeadlineExceeded, "seed %d: it was noticed late", seed)
					failed = true
				})
				if failed {
					lost++
					receive(t, c.Done())
				}
				require.NoError(t, c.Close(), "seed %d", seed)
			}
			require.Positive(t, lost, "seed %d: no fault hit", seed)
			eventually(t, "the clients to be gone", func() bool { return s.worker.Stats().Clients == 0 })
			require.NoError(t, s.worker.Close())
			s.ended(t)
		}
	})
}

// load makes calls of all kinds and checks their results. At the first error it
// reports it, and ends.
func load(t *testing.T, c *invoke.Client, seed, calls int, failed func(error)) {
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	ctx := soon(t)
	echo, err := c.Function(ctx, "echo")
	if err != nil {
		failed(err)
		return
	}
	b, err := c.NewBuffer(100, 100)
	require.NoError(t, err)
	out := make([]byte, 1000)
	for i := range calls {
		in := []byte(strings.Repeat(fmt.Sprint(i), random.IntN(100)))
		var result []byte
		switch random.IntN(4) {
		case 0: // one after the other
			var n int
			n, err = c.Call(ctx, echo, in, out)
			result = out[:n]
		case 1: // without a copy
			in = in[:min(len(in), 100)]
			copy(b.In(), in)
			result, err = b.Call(ctx, echo, len(in))
		case 2: // abandoned
			in = nil
			var future invoke.Future
			if future, err = c.Go(ctx, echo, []byte("dropped")); err == nil {
				err = future.Abandon()
			}
		case 3: // several at once
			var futures []invoke.Future
			for err == nil && len(futures) < c.Slots() {
				var future invoke.Future
				if future, err = c.Go(ctx, echo, in); err == nil {
					futures = append(futures, future)
				} else if errors.Is(err, invoke.ErrNoCredit) {
					err = nil // as many as there are
					break
				}
			}
			result = in
			for _, future := range futures {
				n, waitErr := future.Wait(ctx, out)
				if err == nil && waitErr == nil {
					require.Equal(t, string(in), string(out[:n]))
				}
				err = errors.Join(err, waitErr)
			}
		}
		if err != nil {
			failed(err)
			return
		}
		require.Equal(t, string(in), string(result))
	}
}
