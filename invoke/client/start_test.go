package client_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// ending is what a call that was started ended with.
type ending struct {
	client.Result
	err error
}

// start starts a call, whose ending is received.
func start(t *testing.T, p *client.Client, ctx context.Context, function, in string, out []byte, o ...invoke.CallOptions) (func(), chan ending) {
	t.Helper()
	ended := make(chan ending, 2)
	cancel, err := p.Start(ctx, function, []byte(in), out, func(r client.Result, err error) { ended <- ending{r, err} }, o...)
	require.NoError(t, err)
	return cancel, ended
}

// TestStart: a call that was started tells its end once, whatever that is.
func TestStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	entered, release := s.gate("gate")
	p := s.open(client.Config{Lanes: 1, Queue: 1})

	out := make([]byte, 16)
	cancel, ended := start(t, p, context.Background(), "echo", "hello", out)
	e := receive(t, ended)
	require.NoError(t, e.err)
	require.Equal(t, "hello", string(out[:e.Bytes]))
	cancel() // does nothing

	_, ended = start(t, p, context.Background(), "fail", "x", nil)
	require.ErrorContains(t, receive(t, ended).err, `no luck with "x"`)

	_, first := start(t, p, context.Background(), "gate", "1", out)
	receive(t, entered)
	cancel, second := start(t, p, soon(t), "gate", "2", nil) // behind it, or waiting
	full := 0
	for range 3 {
		_, err := p.Start(context.Background(), "gate", nil, nil, func(client.Result, error) {})
		if err != nil {
			require.ErrorIs(t, err, client.ErrFull)
			full++
		}
	}
	require.Positive(t, full, "it does not wait")
	cancel()
	require.ErrorIs(t, receive(t, second).err, context.Canceled)
	release <- struct{}{}
	require.NoError(t, receive(t, first).err)
	require.Equal(t, "1", string(out[:1]))

	timeout := invoke.CallOptions{Timeout: time.Millisecond}
	_, late := start(t, p, context.Background(), "gate", "", nil, timeout)
	require.ErrorIs(t, receive(t, late).err, invoke.ErrDeadlineExceeded)

	_, last := start(t, p, context.Background(), "gate", "", nil)
	require.NoError(t, p.Close())
	require.ErrorIs(t, receive(t, last).err, client.ErrClosed)
	_, err := p.Start(context.Background(), "echo", nil, nil, func(client.Result, error) {})
	require.ErrorIs(t, err, client.ErrClosed)
	require.Empty(t, ended)
	require.Empty(t, last)
}
