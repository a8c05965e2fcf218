// Package native runs functions of shared objects that were built for the
// original rFaaS, unmodified:
//
//	uint32_t function(void *args, uint32_t size, void *res);
//
// A function reads the size bytes at args, writes its result to res and returns the
// result's length in bytes. The package needs cgo (a C compiler) and Linux on amd64 or
// arm64; in other builds Open returns ErrNotSupported.
//
// This package does not confine native code, which shares the process with everything
// else in it. Use it in a process that serves one tenant, under a supervisor.
//
// # Memory
//
// args is the call's input itself, in an invocation the slot. A function may change it.
// Nothing stops a function from writing elsewhere in the process.
//
// res is not the call's output but memory of the module, aligned to a page. Its size is
// Config.ResultBytes or the output's length, whichever is more, and 64 MiB of inaccessible
// addresses follow it. The result is copied to the output by its length. A function cannot
// know the size of the output: a longer result is answered with [invoke.StatusTooLarge] and
// the length needed. A result that does not fit in res ends the process by SIGSEGV before it
// overwrites anything, and Config.Overrun records it. Bytes of res that a result does not
// overwrite are left from calls before.
//
// The copy is cheap for small results, and takes about as long as writing the result for one
// of a mebibyte. Config.DirectBytes avoids copy and guard, for longer outputs and functions
// that are trusted not to write past the end.
//
// A function runs on a stack of the module's own, of Config.StackBytes whatever the
// limits of the process are, with 64 MiB of inaccessible addresses below; Config.Overflow
// records that it was too small. Constructors and destructors
// run on the stack of the thread.
//
// # Crashes
//
// A fault in native code ends the process by its signal at once, without a report of Go's:
// SIGSEGV (also for a stack overflow), SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS.
// That holds for constructors, functions, destructors, and threads that native code
// creates. Faults of Go code outside of native calls are handled as usual. From the first
// Open on, the process has signal handlers of this package, which call Go's.
//
// exit and _exit end the process with that status, exit after the destructors and the
// functions registered with atexit. A function that ends its thread with pthread_exit
// ends the process by SIGABRT.
//
// # Output
//
// From the first Open on, the standard output of C is written at the end of each line, also
// to a pipe, and that of Fortran and Python at once, by environment variables that Open sets
// if they are not set (GFORTRAN_UNBUFFERED_PRECONNECTED, PYTHONUNBUFFERED). So whatever ended
// with a line feed is written before a crash or a kill. Close writes the rest of it, and of
// all streams of C.
//
// A process that ends with os.Exit does not run the exit handlers of libraries, and this
// package does not either: they expect that nothing else runs, and the threads of Go do.
// Those of the object itself, destructors included, run when Close unloads it.
//
// # What is left of a call
//
// After every call, Open and Close, the modes of floating-point arithmetic (rounding,
// exceptions, denormals) are as before. A function leaves the rest as it is: global
// variables, threads, files, signal handlers, and the signal mask of the thread, which may
// not be that of the next call. A function that blocks SIGURG delays Go's scheduler; one
// that installs handlers for the signals above gets Go's faults as well.
package native
