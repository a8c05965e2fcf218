// Package runtime defines what the code of a function can be. The kinds are native (shared
// objects with the ABI of rFaaS), wasm (WebAssembly modules) and command (programs), which its
// sub-packages load, and Go functions, which a program registers with its worker itself.
package runtime

import "github.com/rfaas-go/rfaas/invoke"

// The names of the runtimes in manifests.
const (
	Native  = "native"
	Wasm    = "wasm"
	Command = "command"
	Go      = "go"
)

// Module is loaded code. One worker calls one of its functions at a time. Several workers
// need a module each, unless the runtime allows more.
type Module interface {
	// Function makes an entry point callable until Close, by its name. If there is none of
	// that name, the error lists those that there are.
	Function(entry string) (invoke.Function, error)
	// Close releases the module. None of its functions may be running.
	Close() error
}

// ContextChecker is implemented by modules that end calls whose context has ended, and check
// contexts from time to time.
type ContextChecker interface {
	// CheckContexts checks now. It does not wait, and may be called concurrently.
	CheckContexts()
}
