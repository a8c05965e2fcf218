// Package tracing makes OpenTelemetry spans of calls: one at the caller's, one where the
// function runs, which is its child by the W3C trace context that goes with the call.
//
//	cl, err := client.DialWith(ctx, device, client.Config{Hooks: []client.Hook{tracing.Hook(provider)}}, addresses...)
//	registry.Wrap(tracing.Wrap(provider))
//
// The trace context is the keys "traceparent" and "tracestate" of the call's
// invoke.Metadata, as https://www.w3.org/TR/trace-context/ has it, so either side may be
// of another make.
package tracing

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// scope is what spans are made in the name of.
const scope = "github.com/rfaas-go/rfaas/invoke/tracing"

// Attributes of spans, besides rpc.system and rpc.method. Times are in seconds.
const (
	keyInputBytes  = attribute.Key("rfaas.input.bytes")
	keyResultBytes = attribute.Key("rfaas.result.bytes")
	keyWorker      = attribute.Key("rfaas.worker")
	keyStatus      = attribute.Key("rfaas.status")
	keyExecution   = attribute.Key("rfaas.execution.seconds") // as the worker measured them
	keyQueue       = attribute.Key("rfaas.queue.seconds")
)

// Hook makes a span of each call, from when it begins until it has ended, retries
// included: each attempt that failed is an event of it.
func Hook(p trace.TracerProvider) client.Hook {
	tracer := p.Tracer(scope)
	return func(ctx context.Context, b *client.CallInfo) func(client.Result, error) {
		ctx, span := start(ctx, tracer, trace.SpanKindClient, b.Function, b.InputBytes)
		propagation.TraceContext{}.Inject(ctx, propagation.MapCarrier(b.Metadata))
		if !span.IsRecording() {
			return func(client.Result, error) { span.End() }
		}
		return func(r client.Result, err error) {
			for _, a := range r.Failed {
				span.AddEvent("attempt failed", trace.WithAttributes(keyWorker.String(a.Worker), attribute.String("error", a.Err.Error())))
			}
			if r.Worker != "" {
				span.SetAttributes(keyWorker.String(r.Worker),
					keyExecution.Float64(r.Timing.Execution.Seconds()), keyQueue.Float64(r.Timing.Queue.Seconds()))
			}
			status := invoke.StatusOK
			if e, ok := errors.AsType[*invoke.Error](err); ok {
				status = e.Status
			}
			end(span, r.Bytes, status, err)
		}
	}
}

// Wrap makes a span of each execution of a function, as the child of its caller's. The
// function has it in its context, so that what it does further belongs to the trace.
func Wrap(p trace.TracerProvider) func(name string, f invoke.Function) invoke.Function {
	tracer := p.Tracer(scope)
	return func(name string, f invoke.Function) invoke.Function {
		return func(ctx context.Context, in, out []byte) (n int, err error) {
			ctx = propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier(invoke.MetadataOf(ctx)))
			ctx, span := start(ctx, tracer, trace.SpanKindServer, name, len(in))
			status := invoke.StatusCrashed // unless it returns
			defer func() { end(span, n, status, err) }()
			n, err = f(ctx, in, out)
			status = invoke.StatusOf(err)
			return n, err
		}
	}
}

func start(ctx context.Context, tracer trace.Tracer, kind trace.SpanKind, function string, bytes int) (context.Context, trace.Span) {
	return tracer.Start(ctx, function, trace.WithSpanKind(kind), trace.WithAttributes(
		attribute.String("rpc.system", "rfaas"), attribute.String("rpc.method", function), keyInputBytes.Int(bytes)))
}

func end(span trace.Span, bytes int, status invoke.Status, err error) {
	span.SetAttributes(keyStatus.String(status.String()), keyResultBytes.Int(bytes))
	switch {
	case err != nil:
		span.SetStatus(codes.Error, err.Error())
	case status != invoke.StatusOK:
		span.SetStatus(codes.Error, status.String())
	}
	span.End()
}
