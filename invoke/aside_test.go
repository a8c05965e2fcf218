package invoke_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

// TestGoWait: more futures than slots, small results and large ones, failures
// too, in any order.
func TestGoWait(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 3, Aside: 30})
		echo, fail := find(t, c, "echo"), find(t, c, "fail")
		in := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1+i%3*50000) }
		for round := range 3 {
			var futures []invoke.Future
			for i := range 33 {
				f, input := echo, in(i)
				if i%10 == 9 {
					f, input = fail, []byte("this")
				}
				future, err := c.GoWait(soon(t), f, input, len(in(i)))
				require.NoError(t, err, "call %d", i)
				futures = append(futures, future)
			}
			_, err := c.GoWait(soon(t), echo, nil, 0)
			require.ErrorIs(t, err, invoke.ErrNoCredit, "no more may be put aside")
			credits, err := c.Credits()
			require.NoError(t, err)
			require.Equal(t, 30, credits.Aside)
			if round == 1 {
				for _, future := range futures {
					require.NoError(t, future.Abandon())
					require.ErrorIs(t, future.Abandon(), invoke.ErrCollected)
				}
			} else {
				for _, i := range rand.Perm(len(futures)) {
					out := make([]byte, 200000)
					n, err := futures[i].Wait(soon(t), out)
					if i%10 == 9 {
						require.ErrorIs(t, err, invoke.ErrFunction)
						require.ErrorContains(t, err, "no luck with")
					} else {
						require.NoError(t, err)
						require.True(t, bytes.Equal(in(i), out[:n]), "call %d", i)
						_, ok := c.Timing()
						require.True(t, ok)
					}
					_, err = futures[i].Wait(soon(t), out)
					require.ErrorIs(t, err, invoke.ErrCollected)
				}
			}
			eventually(t, "all credits", func() bool {
				credits, err := c.Credits()
				require.NoError(t, err)
				return credits == invoke.Credits{Free: 3}
			})
		}
	})
}

// TestGoWaitWaits: it waits for a reply, and no longer than its context.
func TestGoWaitWaits(t *testing.T) {
	everywhere(t, func(t *testing.T, url string) {
		s := serve(t, url, invoke.WorkerConfig{})
		c := s.dial(t, invoke.ClientConfig{Slots: 1})
		f, entered, release := s.gate(t, c)
		first, err := c.GoWait(soon(t), f, []byte("1"), 0)
		require.NoError(t, err)
		receive(t, entered)
		_, err = c.GoWait(within(t, 5*time.Millisecond), f, nil, 0)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		e := (*invoke.Error)(nil)
		require.ErrorAs(t, err, &e)
		require.Equal(t, invoke.StartedNo, e.Started)
		time.AfterFunc(time.Millisecond, func() { release <- struct{}{} })
		second, err := c.GoWait(soon(t), f, []byte("2"), 0)
		require.NoError(t, err)
		ready, err := first.Ready()
		require.NoError(t, err)
		require.True(t, ready)
		release <- struct{}{}
		out := make([]byte, 1)
		for i, future := range []invoke.Future{first, second} {
			_, err := future.Wait(soon(t), out)
			require.NoError(t, err)
			require.Equal(t, byte(i)+'1', out[0])
		}
		b, err := c.NewBuffer(1, 1)
		require.NoError(t, err)
		echo := find(t, c, "echo")
		require.NoError(t, b.Go(soon(t), echo, 1))
		_, err = c.GoWait(soon(t), echo, nil, 0)
		require.ErrorIs(t, err, invoke.ErrNoCredit, "the buffer has to be waited for first")
		_, err = b.Wait(soon(t))
		require.NoError(t, err)
	})
}
