//go:build !cgo || !linux || !(amd64 || arm64)

package native

import (
	"errors"
	"os"

	"github.com/rfaas-go/rfaas/invoke"
)

// ErrNotSupported is returned by all functions of a build without native functions.
var ErrNotSupported = errors.New("native functions are not supported: this build has no cgo (build for Linux on amd64 or arm64 with CGO_ENABLED=1 and a C compiler)")

// Module cannot be made; its methods exist so that programs compile.
type Module struct{}

// Open returns ErrNotSupported.
func Open(string, Config) (*Module, error) { return nil, ErrNotSupported }

// OpenFile returns ErrNotSupported.
func OpenFile(*os.File, Config) (*Module, error) { return nil, ErrNotSupported }

// Function returns ErrNotSupported.
func (*Module) Function(string) (invoke.Function, error) { return nil, ErrNotSupported }

// Close returns ErrNotSupported.
func (*Module) Close() error { return ErrNotSupported }
