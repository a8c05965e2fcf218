package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// diary is what hooks write into.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) add(format string, a ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, a...))
}

func (d *diary) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

// hook writes down what it sees, and adds to the metadata.
func (d *diary) hook(name string) client.Hook {
	return func(ctx context.Context, b *client.CallInfo) func(client.Result, error) {
		d.add("%s: %s of %d bytes begins, with %v", name, b.Function, b.InputBytes, b.Metadata)
		b.Metadata[name] = ctx.Value(asker{}).(string)
		return func(r client.Result, err error) {
			status := invoke.StatusOK
			if e, ok := errors.AsType[*invoke.Error](err); ok {
				status = e.Status
			}
			d.add("%s: %d bytes, %v, worker: %v, failed before: %d, refused: %v", name, r.Bytes, status, r.Worker != "", len(r.Failed), errors.Is(err, client.ErrClosed))
		}
	}
}

type asker struct{}

// TestHooks: each kind of call is told to each hook, once when it begins and once when it
// ends, and what they add to the metadata arrives; the caller's own stays as it was.
func TestHooks(t *testing.T) {
	t.Parallel()
	s := newSite(t, "loopback:")
	s.register("metadata", func(ctx context.Context, _, out []byte) (int, error) {
		return copy(out, fmt.Sprint(invoke.MetadataOf(ctx))), nil
	})
	var d diary
	cl := s.open(client.Config{Hooks: []client.Hook{d.hook("a"), func(context.Context, *client.CallInfo) func(client.Result, error) { return nil }, d.hook("b")}})
	ctx := context.WithValue(soon(t), asker{}, "me")
	own := invoke.CallOptions{Metadata: invoke.Metadata{"own": "1"}}
	const answer = "map[a:me b:me own:1]"
	told := func(function string, in int, out string) {
		t.Helper()
		require.Equal(t, []string{
			fmt.Sprintf("a: %s of %d bytes begins, with map[own:1]", function, in),
			fmt.Sprintf("b: %s of %d bytes begins, with map[a:me own:1]", function, in),
			"b: " + out, "a: " + out,
		}, d.take())
		require.Equal(t, invoke.Metadata{"own": "1"}, own.Metadata)
	}
	fine := fmt.Sprintf("%d bytes, ok, worker: true, failed before: 0, refused: false", len(answer))

	out := make([]byte, 100)
	n, err := cl.Call(ctx, "metadata", []byte("abc"), out, own)
	require.NoError(t, err)
	require.Equal(t, answer, string(out[:n]))
	told("metadata", 3, fine)

	future, err := cl.Go(ctx, "metadata", nil, own)
	require.NoError(t, err)
	result, err := future.Wait(ctx)
	require.NoError(t, err)
	require.Equal(t, answer, string(result))
	told("metadata", 0, fine)

	r, err := cl.CallInPlace(ctx, "metadata", client.InPlace{InputBytes: 10, ResultBytes: 100,
		Fill: func([]byte) (int, error) { return 0, nil },
		Take: func(result []byte) error { require.Equal(t, answer, string(result)); return nil },
	}, own)
	require.NoError(t, err)
	require.NotEmpty(t, r.Worker)
	told("metadata", 10, fine)

	for r, err := range client.Map(ctx, cl, "metadata", slices.Values([][]byte{nil}), client.MapOptions{Metadata: own.Metadata}) {
		require.NoError(t, err)
		require.Equal(t, answer, string(r.Output))
	}
	told("metadata", 0, fine)

	_, err = cl.Call(ctx, "fail", nil, nil, own)
	require.ErrorIs(t, err, invoke.ErrFunction)
	told("fail", 0, "0 bytes, function error, worker: true, failed before: 1, refused: false")

	over, cancel := context.WithCancel(ctx)
	cancel()
	for _, call := range []func() error{
		func() error { _, err := cl.Call(over, "echo", nil, nil, own); return err },
		func() error { _, err := cl.Go(over, "echo", nil, own); return err },
		func() error {
			_, err := cl.CallInPlace(over, "echo", client.InPlace{}, own)
			return err
		},
	} {
		require.ErrorIs(t, call(), context.Canceled)
		told("echo", 0, "0 bytes, canceled, worker: false, failed before: 0, refused: false")
	}
	require.NoError(t, cl.Close())
	_, err = cl.Call(ctx, "echo", nil, nil, own)
	require.ErrorIs(t, err, client.ErrClosed)
	told("echo", 0, "0 bytes, ok, worker: false, failed before: 0, refused: true")
}

// TestHooksOfManyCalls: as many ends as beginnings, whoever ends a call, and from
// wherever it is ended.
func TestHooksOfManyCalls(t *testing.T) {
	t.Parallel()
	s := newSite(t, "shm:")
	var mu sync.Mutex
	open := map[string]int{}
	note := func(name string, d int) {
		mu.Lock()
		defer mu.Unlock()
		open[name] += d
	}
	cl := s.open(client.Config{Lanes: 2, Hooks: []client.Hook{func(_ context.Context, b *client.CallInfo) func(client.Result, error) {
		name := b.Function
		note(name, 1)
		note("begun", 1)
		return func(client.Result, error) { note(name, -1) }
	}}})
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for j := range 100 {
				ctx, cancel := context.WithCancel(soon(t))
				if future, err := cl.Go(ctx, []string{"echo", "fail", "once"}[(i+j)%3], []byte("x")); err == nil {
					if j%5 == 0 {
						cancel()
					}
					_, _ = future.Wait(ctx) // the hooks are what is looked at
				}
				cancel()
			}
		})
	}
	callers.Wait()
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, map[string]int{"echo": 0, "fail": 0, "once": 0, "begun": 800}, open)
}
