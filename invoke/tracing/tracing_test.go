package tracing_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
	"github.com/rfaas-go/rfaas/invoke/tracing"
	"github.com/rfaas-go/rfaas/transport"
	_ "github.com/rfaas-go/rfaas/transport/loopback"
)

// recorder is a provider that keeps what has ended.
func recorder(o ...sdk.TracerProviderOption) (*tracetest.SpanRecorder, trace.TracerProvider) {
	r := tracetest.NewSpanRecorder()
	return r, sdk.NewTracerProvider(append(o, sdk.WithSpanProcessor(r))...)
}

// service is a worker and a client of it, which trace to providers of their own.
func service(t *testing.T, near, far trace.TracerProvider) *client.Client {
	dev, err := transport.Open("loopback:")
	require.NoError(t, err)
	registry := invoke.NewRegistry()
	registry.Wrap(tracing.Wrap(far))
	tracer := far.Tracer("test")
	for name, f := range map[string]invoke.Function{
		"work": func(ctx context.Context, _, out []byte) (int, error) {
			_, span := tracer.Start(ctx, "inside")
			span.End()
			return copy(out, trace.SpanContextFromContext(ctx).TraceID().String()), nil
		},
		"fail":  func(context.Context, []byte, []byte) (int, error) { return 0, errors.New("no luck") },
		"crash": func(context.Context, []byte, []byte) (int, error) { panic("on purpose") },
	} {
		require.NoError(t, registry.Register(name, f))
	}
	worker, err := invoke.NewWorker(dev, registry, invoke.WorkerConfig{})
	require.NoError(t, err)
	listener, err := transport.Listen("unix", filepath.Join(t.TempDir(), "worker"))
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- worker.Serve(context.Background(), listener) }()
	cl, err := client.New(client.Config{Hooks: []client.Hook{tracing.Hook(near)}, Dial: func(ctx context.Context, _ int) (client.Worker, error) {
		c, err := invoke.Dial(ctx, dev, "unix", listener.Addr().String(), invoke.ClientConfig{Name: "the worker"})
		return client.Worker{Client: c}, err
	}})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, cl.Close())
		require.NoError(t, worker.Close())
		require.NoError(t, <-served)
		require.NoError(t, listener.Close())
		require.NoError(t, dev.Close())
	})
	return cl
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// attributes of a span, without those whose values are times.
func attributes(t *testing.T, s sdk.ReadOnlySpan) map[string]any {
	m := map[string]any{}
	for _, a := range s.Attributes() {
		if a.Value.Type() == attribute.FLOAT64 {
			require.GreaterOrEqual(t, a.Value.AsFloat64(), 0.0)
			m[string(a.Key)] = "a time"
		} else {
			m[string(a.Key)] = a.Value.AsInterface()
		}
	}
	return m
}

// TestOneTrace: what calls, what is called, and what that does are one trace, though the
// two sides know nothing of each other but the call.
func TestOneTrace(t *testing.T) {
	t.Parallel()
	near, nearProvider := recorder()
	far, farProvider := recorder()
	cl := service(t, nearProvider, farProvider)
	ctx, root := nearProvider.Tracer("test").Start(soon(t), "root")
	out := make([]byte, 100)
	n, err := cl.Call(ctx, "work", []byte("abc"), out)
	require.NoError(t, err)
	require.Equal(t, root.SpanContext().TraceID().String(), string(out[:n]))

	call, inside, execution := near.Ended()[0], far.Ended()[0], far.Ended()[1]
	require.Equal(t, root.SpanContext().SpanID(), call.Parent().SpanID())
	require.Equal(t, call.SpanContext().SpanID(), execution.Parent().SpanID())
	require.True(t, execution.Parent().IsRemote())
	require.Equal(t, execution.SpanContext().SpanID(), inside.Parent().SpanID())
	require.Equal(t, []trace.SpanKind{trace.SpanKindClient, trace.SpanKindServer}, []trace.SpanKind{call.SpanKind(), execution.SpanKind()})
	common := map[string]any{"rpc.system": "rfaas", "rpc.method": "work", "rfaas.input.bytes": int64(3), "rfaas.result.bytes": int64(32), "rfaas.status": "ok"}
	require.Equal(t, common, attributes(t, execution))
	common["rfaas.worker"], common["rfaas.execution.seconds"], common["rfaas.queue.seconds"] = "the worker", "a time", "a time"
	require.Equal(t, common, attributes(t, call))
	require.Equal(t, codes.Unset, call.Status().Code)
}

// TestFailures: both sides say what went wrong, a function that panics included.
func TestFailures(t *testing.T) {
	t.Parallel()
	near, nearProvider := recorder()
	far, farProvider := recorder()
	cl := service(t, nearProvider, farProvider)
	for i, test := range []struct{ function, status, says, there string }{
		{"fail", "function error", "no luck", "no luck"}, {"crash", "crashed", "on purpose", "crashed"}, {"missing", "not found", "there is no function", ""},
	} {
		_, err := cl.Call(soon(t), test.function, nil, nil)
		require.ErrorContains(t, err, test.says)
		call := near.Ended()[i]
		require.Equal(t, test.status, attributes(t, call)["rfaas.status"])
		require.Equal(t, codes.Error, call.Status().Code)
		require.Contains(t, call.Status().Description, test.says)
		require.Equal(t, "attempt failed", call.Events()[0].Name)
		if test.there == "" {
			require.Len(t, far.Ended(), i)
			continue
		}
		execution := far.Ended()[i]
		require.Equal(t, test.status, attributes(t, execution)["rfaas.status"])
		require.Equal(t, sdk.Status{Code: codes.Error, Description: test.there}, execution.Status())
	}
}

// TestNotSampled: who does not record passes the context on all the same.
func TestNotSampled(t *testing.T) {
	t.Parallel()
	near, nearProvider := recorder(sdk.WithSampler(sdk.NeverSample()))
	far, farProvider := recorder(sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample())))
	cl := service(t, nearProvider, farProvider)
	ctx, root := nearProvider.Tracer("test").Start(soon(t), "root")
	out := make([]byte, 100)
	n, err := cl.Call(ctx, "work", nil, out)
	require.NoError(t, err)
	require.Equal(t, root.SpanContext().TraceID().String(), string(out[:n]))
	require.Empty(t, near.Ended())
	require.Empty(t, far.Ended())
}
