// Package noop is the function that does nothing: what invoking it costs is the
// price of the invocation itself.
package noop

import "context"

const (
	// Name is what the function is deployed and called as.
	Name = "noop"

	// Idempotent says that an invocation may be repeated, after a lost
	// connection for instance, without a second effect.
	Idempotent = true

	// Extension is the file extension of a result; empty means the input's.
	Extension = ""
)

// Function reads nothing, writes nothing and returns 0, whatever its arguments.
func Function(_ context.Context, _, _ []byte) (n int, err error) {
	return 0, nil
}
