// Package ibv binds libibverbs at run time, through cgo and a small C shim: it needs
// a C compiler to be built, but neither the library nor its headers. In a build
// without cgo, or not for Linux, Load returns ErrMissing, and nothing else works.
//
// The package adds nothing to verbs: objects and names are those of libibverbs
// and of the InfiniBand specification, a method is one call. What differs: a
// batch of transport.WorkRequest is posted with one crossing from Go to C, and
// events are waited for through the Go runtime's poller, which occupies no
// thread.
//
// Objects are closed in the reverse order of their making; Close of one that is
// still in use fails with EBUSY and can be repeated. A second Close does nothing.
// No method may be called once Close of its object has begun, except Event and
// Wait, which Close ends. Errors wrap a syscall.Errno where there is one, and
// name the verbs call.
package ibv
