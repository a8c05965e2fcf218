package typed_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/typed"
	"github.com/rfaas-go/rfaas/transport"
)

// text is a message as generated code has it; it keeps what it is made of.
type text struct{ b []byte }

func (m *text) Marshal() ([]byte, error) {
	if bytes.Equal(m.b, []byte("unspeakable")) {
		return nil, errors.New("it cannot be said")
	}
	return m.b, nil
}

func (m *text) Unmarshal(b []byte) error {
	if bytes.HasPrefix(b, []byte("!")) {
		return errors.New("no text")
	}
	m.b = b
	return nil
}

// serve has functions over bytes, JSON and messages.
func serve(t *testing.T, functions map[string]invoke.Function) *client.Client {
	t.Helper()
	dev, err := transport.Open("shm:")
	require.NoError(t, err)
	registry := invoke.NewRegistry()
	for name, f := range functions {
		require.NoError(t, registry.Register(name, f))
	}
	w, err := invoke.NewWorker(dev, registry, invoke.WorkerConfig{SlotBytes: 4096})
	require.NoError(t, err)
	l, err := transport.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	served := make(chan error)
	go func() { served <- w.Serve(context.Background(), l) }()
	c, err := client.Dial(t.Context(), dev, "unix:"+l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, c.Close())
		require.NoError(t, w.Close())
		require.NoError(t, <-served)
		require.NoError(t, errors.Join(l.Close(), dev.Close()))
	})
	return c
}

// Values come as they were sent, whatever their codec and however long; what is no value is
// an error that says where.
func TestProcedures(t *testing.T) {
	t.Parallel()
	raw := typed.New(typed.Bytes(), typed.Bytes())
	words := typed.New(typed.JSON[[]string](), typed.JSON[int]())
	messages := typed.New(typed.Proto[text](), typed.Proto[text]())
	c := serve(t, map[string]invoke.Function{
		"raw":      raw.Function(func(_ context.Context, in []byte) ([]byte, error) { return in, nil }),
		"words":    words.Function(func(_ context.Context, in []string) (int, error) { return len(in), nil }),
		"messages": messages.Function(func(_ context.Context, in *text) (*text, error) { return in, nil }),
		"nothing":  messages.Function(func(context.Context, *text) (*text, error) { return nil, nil }),
		"nonsense": func(_ context.Context, _, out []byte) (int, error) { return copy(out, "!"), nil },
	})
	ctx := t.Context()
	for _, size := range []int{0, 1, 4096, 4097, 1 << 20} {
		in := bytes.Repeat([]byte("x"), size)
		out, err := raw.Call(ctx, c, "raw", in, invoke.CallOptions{Room: size})
		require.NoError(t, err)
		require.True(t, bytes.Equal(in, out), size)
		m, err := messages.Call(ctx, c, "messages", &text{in}, invoke.CallOptions{Room: size})
		require.NoError(t, err)
		require.True(t, bytes.Equal(in, m.b), size)
	}
	n, err := words.Call(ctx, c, "words", []string{"a", "b"})
	require.NoError(t, err)
	require.Equal(t, 2, n)

	_, err = raw.Call(ctx, c, "raw", make([]byte, 1<<20), invoke.CallOptions{Room: 8192})
	require.ErrorIs(t, err, invoke.ErrTooLarge)
	_, err = raw.Call(ctx, c, "words", []byte("{"))
	e := (*invoke.Error)(nil)
	require.ErrorAs(t, err, &e)
	require.EqualValues(t, typed.CodeBadInput, e.Code)
	require.ErrorContains(t, err, "the input, 1 bytes, cannot be decoded: unexpected end of JSON input")
	_, err = messages.Call(ctx, c, "nothing", &text{})
	require.ErrorContains(t, err, "the result cannot be encoded: no message: nil")
	_, err = messages.Call(ctx, c, "messages", &text{[]byte("unspeakable")})
	require.ErrorContains(t, err, `typed: function "messages": the input cannot be encoded: it cannot be said`)
	_, err = messages.Call(ctx, c, "nonsense", &text{})
	require.ErrorContains(t, err, `typed: function "nonsense": the result, 1 bytes, cannot be decoded: no text`)
}

// A value outlives the call, whose memory is the next call's.
func TestDecodedValuesAreCopies(t *testing.T) {
	t.Parallel()
	memory := []byte("before")
	b, err := typed.Bytes().Decode(memory)
	require.NoError(t, err)
	m, err := typed.Proto[text]().Decode(memory)
	require.NoError(t, err)
	copy(memory, "after!")
	require.Equal(t, "before", string(b))
	require.Equal(t, "before", string(m.b))
}
