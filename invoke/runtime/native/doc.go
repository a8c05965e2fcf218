// Package native runs functions of shared objects that were built for the
// original rFaaS, unmodified:
//
//	uint32_t function(void *args, uint32_t size, void *res);
//
// A function reads the size bytes at args, writes its result to res and returns
// how many bytes that are. The package needs cgo (a C compiler) and Linux on amd64
// or arm64; in another build Open says so.
//
// Native code shares the process with everything else in it and is not confined
// by this package. It is meant for a process that serves one tenant and that
// somebody watches.
//
// # Memory
//
// args is the call's input where it lies, in an invocation the slot. A function may
// change it. Nothing stops a function from writing elsewhere in the process.
//
// res is not the call's output but memory of the module, aligned to a page, of
// Config.ResultBytes or the output's length, whichever is more, and behind it lie
// 64 MiB that cannot be touched. The result is copied to the output by its length. So a result that
// does not fit in the output, which a function cannot know, is answered with
// [invoke.StatusTooLarge] and the length needed, and one that does not fit in res
// ends the process by SIGSEGV before it destroys anything, and Config.Overrun says so.
// What a result does not overwrite in res is left from calls before.
//
// The copy costs nothing to speak of for small results, and about as much as
// writing it for a result of a mebibyte: Config.DirectBytes does without copy and
// guard, for outputs that are longer and functions that are trusted not to write
// behind the end.
//
// A function runs on a stack of the module's own, of Config.StackBytes whatever
// the limits of the process are, with as large a guard below. Constructors and
// destructors run on the stack of the thread.
//
// # Crashes
//
// A fault in native code ends the process by its signal at once, and without a
// word from Go: SIGSEGV (also a stack overflow), SIGBUS, SIGILL, SIGFPE, SIGABRT,
// SIGTRAP, SIGSYS. That holds for constructors, functions, destructors, and for
// threads that native code made. Faults of Go code outside of native calls stay
// what they are. From the first Open on, the process has signal handlers of this
// package that call Go's.
//
// exit and _exit end the process with that status, exit after the destructors and
// what was registered with atexit. A function that ends the thread which called it,
// with pthread_exit, ends the process by SIGABRT.
//
// # What is left of a call
//
// The modes of floating-point arithmetic (rounding, exceptions, denormals) are those
// from before after every call, Open and Close. The rest is as the function
// leaves it: global variables, threads, files, signal handlers, and the signal
// mask of the thread, which the next call need not run on. A function that blocks
// SIGURG delays Go's scheduler; one that installs handlers for the signals above
// gets Go's faults as well.
package native
