package benchmarks

import (
	"fmt"
	"strings"
)

// FlagError is about the value of a flag of rfaas bench, or of the field of
// Config or ServeConfig that belongs to it. Its text begins with the flag.
type FlagError struct{ error }

// Unwrap returns the cause, if there is another one than the value.
func (e *FlagError) Unwrap() error { return e.error }

func flagErrorf(format string, args ...any) error { return &FlagError{fmt.Errorf(format, args...)} }

// oneOf is the error of a flag whose value is not among those allowed.
func oneOf(flag, value string, allowed []string) error {
	return flagErrorf("--%s %q: must be one of %s", flag, value, strings.Join(allowed, ", "))
}
