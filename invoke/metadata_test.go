package invoke_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
)

// TestMetadata: whatever the lengths of input and metadata, and wherever the input is,
// the function sees both; calls that follow in the same slot see nothing of it.
func TestMetadata(t *testing.T) {
	for _, concurrency := range []int{1, 2} {
		t.Run(fmt.Sprint("concurrency ", concurrency), func(t *testing.T) {
			everyNetwork(t, func(t *testing.T, url string) {
				testMetadata(t, serve(t, url, invoke.WorkerConfig{Concurrency: concurrency}))
			})
		})
	}
}

func testMetadata(t *testing.T, s *stand) {
	const slot = 8192
	c := s.dial(t, invoke.ClientConfig{Slots: 1, SlotBytes: slot})
	f := s.register(t, c, "tell", func(ctx context.Context, in, out []byte) (int, error) {
		inner, cancel := context.WithCancel(ctx)
		defer cancel()
		text, err := json.Marshal(invoke.MetadataOf(inner))
		for _, b := range in {
			if b != 'x' {
				return 0, fmt.Errorf("the input has %q", b)
			}
		}
		return copy(out, fmt.Appendf(nil, "%d %s", len(in), text)), err
	})
	buffer, err := c.NewBuffer(64<<10, slot)
	require.NoError(t, err)
	for i := range buffer.In() {
		buffer.In()[i] = 'x'
	}
	odd := invoke.Metadata{"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "ß": "\x00\"", "empty": ""}
	for _, m := range []invoke.Metadata{odd, {"k": strings.Repeat("v", invoke.MaxMetadataBytes-4)}} {
		for _, n := range []int{0, 5, slot - 200, slot - 4000, slot, slot + 1, 60 << 10} {
			text, err := json.Marshal(m)
			require.NoError(t, err)
			want, plain := fmt.Sprintf("%d %s", n, text), fmt.Sprintf("%d null", n)
			in, out := []byte(strings.Repeat("x", n)), make([]byte, slot)
			half := invoke.CallOptions{Metadata: invoke.Metadata{}}
			rest := invoke.CallOptions{Metadata: invoke.Metadata{}}
			for key, value := range m { // given in two parts
				if len(half.Metadata) == 0 {
					half.Metadata[key] = value
				} else {
					rest.Metadata[key] = value
				}
			}
			got, err := c.Call(soon(t), f, in, out, half, rest)
			require.NoError(t, err)
			require.Equal(t, want, string(out[:got]))
			got, err = c.Call(soon(t), f, in, out) // which has a deadline
			require.NoError(t, err)
			require.Equal(t, plain, string(out[:got]))

			future, err := c.Go(context.Background(), f, in, invoke.CallOptions{Metadata: m})
			require.NoError(t, err)
			result, err := future.Take(soon(t))
			require.NoError(t, err)
			require.Equal(t, want, string(result))
			got, err = c.Call(context.Background(), f, in, out)
			require.NoError(t, err)
			require.Equal(t, plain, string(out[:got]))

			for _, o := range []invoke.CallOptions{{Metadata: m}, {}, {Metadata: m, Timeout: time.Minute}, {Timeout: time.Minute}} {
				result, err := buffer.Call(context.Background(), f, n, o)
				require.NoError(t, err)
				if o.Metadata == nil {
					require.Equal(t, plain, string(result))
				} else {
					require.Equal(t, want, string(result))
				}
			}
		}
	}
}

// TestMetadataLimits: what does not fit is refused before it is sent, and the client
// goes on.
func TestMetadataLimits(t *testing.T) {
	t.Parallel()
	s := serve(t, "loopback:", invoke.WorkerConfig{CallBytes: -1})
	c := s.dial(t, invoke.ClientConfig{Slots: 1, SlotBytes: 1024})
	f := find(t, c, "echo")
	buffer, err := c.NewBuffer(1024, 1024)
	require.NoError(t, err)
	for _, test := range []struct {
		m     invoke.Metadata
		bytes int
		text  string
	}{
		{invoke.Metadata{"": "x"}, 0, `function "echo": a key of the metadata has 0 bytes; 1 to 255 are possible`},
		{invoke.Metadata{strings.Repeat("k", 256): "x"}, 0, "a key of the metadata has 256 bytes; 1 to 255 are possible"},
		{invoke.Metadata{"k": strings.Repeat("v", 1021)}, 0, "too large: the metadata of the call have 1025 bytes; at most 1024"},
		{invoke.Metadata{"k": strings.Repeat("v", 96)}, 1000, "has 1100 bytes, a slot holds 1024, and the worker takes no calls beyond the slots"},
	} {
		_, err := c.Call(soon(t), f, make([]byte, test.bytes), nil, invoke.CallOptions{Metadata: test.m})
		require.ErrorContains(t, err, test.text)
		_, err = buffer.Call(soon(t), f, test.bytes, invoke.CallOptions{Metadata: test.m})
		require.ErrorContains(t, err, test.text)
	}
	n, err := c.Call(soon(t), f, make([]byte, 924), make([]byte, 924), invoke.CallOptions{Metadata: invoke.Metadata{"k": strings.Repeat("v", 96)}})
	require.NoError(t, err)
	require.Equal(t, 924, n)
}

// TestMetadataAfterTheCall: a context that was kept does not come to life with the
// metadata of others.
func TestMetadataAfterTheCall(t *testing.T) {
	t.Parallel()
	s := serve(t, "loopback:", invoke.WorkerConfig{})
	c := s.dial(t, invoke.ClientConfig{Slots: 1})
	kept := make(chan context.Context, 1)
	f := s.register(t, c, "keep", func(ctx context.Context, _, _ []byte) (int, error) {
		kept <- ctx
		return 0, nil
	})
	for _, value := range []string{"first", "second"} {
		_, err := c.Call(soon(t), f, nil, nil, invoke.CallOptions{Metadata: invoke.Metadata{"who": value}})
		require.NoError(t, err)
		ctx := receive(t, kept)
		_, err = c.Call(soon(t), f, nil, nil)
		require.NoError(t, err)
		require.Nil(t, invoke.MetadataOf(receive(t, kept)))
		require.Equal(t, invoke.Metadata{"who": value}, invoke.MetadataOf(ctx))
		require.ErrorIs(t, ctx.Err(), context.Canceled)
	}
}

// TestWrap: what is around functions sees them, those registered later, and no look-ups;
// the last is the outermost.
func TestWrap(t *testing.T) {
	t.Parallel()
	s := serve(t, "loopback:", invoke.WorkerConfig{})
	c := s.dial(t, invoke.ClientConfig{})
	var seen []string // by the worker's goroutine, one call at a time
	type key struct{}
	around := func(who string) func(string, invoke.Function) invoke.Function {
		return func(name string, f invoke.Function) invoke.Function {
			return func(ctx context.Context, in, out []byte) (int, error) {
				seen = append(seen, who+" before "+name)
				n, err := f(context.WithValue(ctx, key{}, who), in, out)
				seen = append(seen, fmt.Sprint(who, " after ", name, " ", n, " ", err))
				return n, err
			}
		}
	}
	s.registry.Wrap(around("inner"))
	s.registry.Wrap(around("outer"))
	whose := s.register(t, c, "whose", func(ctx context.Context, _, out []byte) (int, error) {
		return copy(out, ctx.Value(key{}).(string)), nil
	})
	out := make([]byte, 100)
	n, err := c.Call(soon(t), whose, nil, out)
	require.NoError(t, err)
	require.Equal(t, "inner", string(out[:n]))
	_, err = c.Call(soon(t), find(t, c, "fail"), nil, nil)
	require.ErrorIs(t, err, invoke.ErrFunction)
	require.Equal(t, []string{
		"outer before whose", "inner before whose", "inner after whose 5 <nil>", "outer after whose 5 <nil>",
		"outer before fail", "inner before fail", `inner after fail 0 no luck with ""`, `outer after fail 0 no luck with ""`,
	}, seen)
}
