// Package runtime says what a function can be: code of a function package that
// one of its sub-packages makes callable. The kinds are native (shared objects
// with the ABI of rFaaS), wasm (WebAssembly modules), and Go functions, which need
// no loading: a program registers them with its worker itself.
package runtime

import "github.com/rfaas-go/rfaas/invoke"

// The names of the runtimes, as manifests have them.
const (
	Native = "native"
	Wasm   = "wasm"
	Go     = "go"
)

// Module is code that was loaded. Its functions are what workers execute: one
// worker calls one function of a module at a time; several workers need a module
// each, or a runtime that says otherwise.
type Module interface {
	// Function makes the entry point of a name callable, until Close. An error says
	// which entry points there are.
	Function(entry string) (invoke.Function, error)
	// Close frees what the module holds. Nothing of it may run.
	Close() error
}

// ContextChecker is implemented by modules that end calls whose context has ended, and
// look for such from time to time.
type ContextChecker interface {
	// CheckContexts looks now. It does not wait, and may be called from anywhere.
	CheckContexts()
}
