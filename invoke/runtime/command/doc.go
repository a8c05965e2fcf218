// Package command runs programs as functions: any executable, or a script that names its
// interpreter (#!). It needs Linux 5.4.
//
// # A program for each call
//
// A call starts the program. Its input is the program's standard input, or is in a file whose name
// takes the place of "{}" in the arguments. What the program writes to its standard output is
// the result. The call ends when the program does:
//
//	exit status 0        the result
//	another exit status  a *invoke.FunctionError: the status is its code, the last KiB of
//	                     the standard error its message
//	a signal             invoke.StatusCrashed, with the signal's name and the last of the
//	                     standard error
//
// # A program that serves calls
//
// With Config.Warm, Open starts the program, which then answers calls one after the other, so
// that what it does first is done once. A call comes on its standard input, the answer goes to
// its standard output. Numbers are little-endian:
//
//	call    length (8 bytes), input
//	answer  status (4 bytes), length (8 bytes), bytes
//
// The bytes are the result if the status is 0. Another status is the code of an error, and the
// bytes are its message, 64 KiB at most. The program ends when its standard input does. If it ends before,
// or breaks this protocol, the call under way has an error, and the next call starts it again.
//
// # Processes
//
// The program leads a process group of its own. When it ends, or its call is given up, the
// whole group is killed by SIGKILL: also what it has left behind, unless that has made a
// group or session of its own. So it is when this process ends, however that happens: the
// kernel kills the program, and a shell that waits for that the rest of the group. Where this
// process is the first of a PID namespace, nothing at all outlives a call.
//
// This package does not confine programs: they can do what this process can.
package command
