// Package echo is the function that returns its input: the smallest one whose
// result depends on what was sent, and so the one to measure a transport with.
package echo

import (
	"context"
	"fmt"
	"io"
)

const (
	// Name is what the function is deployed and called as.
	Name = "echo"

	// Idempotent says that an invocation may be repeated, after a lost
	// connection for instance, without a second effect.
	Idempotent = true

	// Extension is the file extension of a result; empty means the input's.
	Extension = ""
)

// Function copies in to out and returns len(in), the number of bytes written.
// Both are registered memory owned by the invocation and only valid until
// Function returns. It ignores ctx, because a copy is too short to interrupt.
//
// When out is shorter than in, nothing is written and the error wraps
// [io.ErrShortBuffer].
func Function(_ context.Context, in, out []byte) (n int, err error) {
	if len(in) > len(out) {
		return 0, fmt.Errorf("echo: the result is as long as the input, %d bytes, and the result buffer holds %d: allow a longer result: %w",
			len(in), len(out), io.ErrShortBuffer)
	}
	return copy(out, in), nil
}
