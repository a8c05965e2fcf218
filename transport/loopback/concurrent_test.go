package loopback_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/internal/effort"
	"github.com/rfaas-go/rfaas/internal/pairtest"
	"github.com/rfaas-go/rfaas/transport"
)

// TestManyAtOnce: many connections count in one word and send to one shared
// receive queue, whose server posts receives while they do.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	const clients, rounds = 8, 200
	server, shared, ends := fanIn(t, clients, 16)
	word := server.Alloc(64, transport.RemoteAll)
	var wg sync.WaitGroup
	errs := make(chan error, clients)
	for i, c := range ends {
		own := c.Alloc(64, transport.LocalOnly)
		wg.Go(func() { errs <- client(c, own, word.Remote(0, 64), uint32(i), rounds) })
	}
	next := make([]uint32, clients)
	for range 16 {
		_, err := shared.PostRecv(transport.Recv(1, transport.Span{}))
		require.NoError(t, err)
	}
	for range clients * rounds {
		c := server.Take(1)[0]
		require.NoError(t, c.Err())
		who, k := c.Imm>>16, c.Imm&0xffff
		require.Equal(t, next[who], k, "order of client %d", who)
		next[who]++
		_, err := shared.PostRecv(transport.Recv(1, transport.Span{}))
		require.NoError(t, err)
	}
	wg.Wait()
	for range clients {
		require.NoError(t, <-errs)
	}
	require.EqualValues(t, clients*rounds, word.Uint64(0).Load())
}

// client counts and tells, rounds times.
func client(e *pairtest.End, own *transport.Region, word transport.RemoteSpan, who uint32, rounds int) error {
	var cs [1]transport.Completion
	for k := range rounds {
		if _, err := e.Conn.Post(
			transport.FetchAdd(1, own.Span(0, 8), word, 1),
			transport.WriteImm(2, own.Span(0, 0), word, who<<16|uint32(k)).With(transport.Signaled),
		); err != nil {
			return err
		}
		if _, err := e.Queue.Wait(context.Background(), cs[:], transport.Warm); err != nil {
			return err
		}
		if err := cs[0].Err(); err != nil {
			return fmt.Errorf("client %d, round %d: %w", who, k, err)
		}
	}
	return nil
}

// TestRevokeUnderLoad: a region is closed while peers write to it and others
// come and go. Under the race detector, what they would write afterwards is seen.
func TestRevokeUnderLoad(t *testing.T) {
	t.Parallel()
	for i := range 50 {
		a, b := pairtest.New(t, "loopback:")
		if i%2 == 1 {
			a, b = b, a
		}
		from, to := a.Alloc(256, transport.LocalOnly), b.Alloc(256, transport.RemoteWrite)
		span, started := to.Remote(0, 256), make(chan struct{})
		ended := make(chan error, 1)
		go func() {
			for i := 0; ; i++ {
				if i == 10 {
					close(started)
				}
				_, err := a.Conn.Post(transport.Write(1, from.Span(0, 256), span).With(transport.Signaled))
				if err != nil {
					ended <- err
					return
				}
				var cs [1]transport.Completion
				if _, err := a.Queue.Poll(cs[:]); err != nil || cs[0].Status != transport.StatusOK {
					ended <- errors.Join(err, cs[0].Err())
					return
				}
			}
		}()
		<-started
		memory := to.Bytes()
		require.NoError(t, to.Close())
		if effort.Race() { // else it is unmapped
			memory[0]++
		}
		var failure *transport.StatusError
		require.ErrorAs(t, <-ended, &failure)
		require.Equal(t, transport.StatusRemoteAccess, failure.Status)
	}
}

// TestCloseUnderLoad: both ends post and poll while one of them closes.
func TestCloseUnderLoad(t *testing.T) {
	t.Parallel()
	for range 50 {
		a, b := pairtest.New(t, "loopback:")
		var wg sync.WaitGroup
		for _, e := range []*pairtest.End{a, b} {
			wg.Go(func() {
				for {
					_, err := e.Conn.PostRecv(transport.Recv(1, transport.Span{}))
					if err != nil && err != transport.ErrQueueFull {
						return
					}
					_, err = e.Conn.Post(transport.Send(2, transport.Span{}).With(transport.Signaled))
					if err != nil && err != transport.ErrQueueFull {
						return
					}
					var cs [4]transport.Completion
					if n, _ := e.Queue.Poll(cs[:]); n > 0 && cs[n-1].Status != transport.StatusOK {
						return
					}
				}
			})
		}
		require.NoError(t, a.Conn.Close())
		wg.Wait()
		<-b.Conn.Done()
	}
}
