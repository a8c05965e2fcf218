package typed

import (
	"context"
	"fmt"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/client"
)

// Procedure is the type of a function: what it takes, and what it returns. Any number of
// goroutines may use one.
type Procedure[In, Out any] struct {
	in  Codec[In]
	out Codec[Out]
}

// New makes the type of a function.
func New[In, Out any](in Codec[In], out Codec[Out]) Procedure[In, Out] {
	return Procedure[In, Out]{in, out}
}

// CodeBadInput is the code of the invoke.FunctionError that an input is answered with
// which is no In.
const CodeBadInput = 1<<32 - 1

// Function is f for a worker's Registry. An error of f is the call's, as for every
// function.
func (p Procedure[In, Out]) Function(f func(ctx context.Context, in In) (Out, error)) invoke.Function {
	return func(ctx context.Context, in, out []byte) (int, error) {
		v, err := p.in.Decode(in)
		if err != nil {
			return 0, &invoke.FunctionError{Code: CodeBadInput, Message: fmt.Sprintf("the input, %d bytes, cannot be decoded: %v", len(in), err)}
		}
		result, err := f(ctx, v)
		if err != nil {
			return 0, err
		}
		encoded, err := p.out.Append(out[:0:len(out)], result)
		if err != nil {
			return 0, fmt.Errorf("the result cannot be encoded: %w", err)
		}
		if len(encoded) <= len(out) && len(encoded) > 0 && &encoded[0] != &out[0] {
			copy(out, encoded) // the codec has made memory of its own
		}
		return len(encoded), nil // if it is longer, the caller is told how long
	}
}

// Call calls the function of this name and type. Options are those of client.Client.Go.
func (p Procedure[In, Out]) Call(ctx context.Context, c *client.Client, function string, in In, options ...invoke.CallOptions) (out Out, err error) {
	encoded, err := p.in.Append(nil, in)
	if err != nil {
		return out, fmt.Errorf("typed: function %q: the input cannot be encoded: %w", function, err)
	}
	future, err := c.Go(ctx, function, encoded, options...)
	if err != nil {
		return out, err
	}
	result, err := future.Wait(ctx)
	if err != nil {
		return out, err
	}
	if out, err = p.out.Decode(result); err != nil {
		return out, fmt.Errorf("typed: function %q: the result, %d bytes, cannot be decoded: %w", function, len(result), err)
	}
	return out, nil
}
