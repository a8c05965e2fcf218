// Package wasm runs functions that are WebAssembly modules, through wazero.
//
// # What a module exports
//
//	memory                                    its memory
//	rfaas_alloc(size i32) -> i32              an area of size bytes for the host, aligned to
//	                                          16; 0 if there is no room. It stays the host's
//	                                          as long as the instance lives.
//	NAME(in_ptr i32, in_len i32,
//	     out_ptr i32, out_cap i32) -> i32     an entry point, as many as you like
//	_initialize()                             optional: called once, before everything else
//
// The result of an entry point is
//
//	0 ... out_cap   the length of the result, which it has written to out_ptr
//	> out_cap       the length of a result that did not fit: answered with "too large"
//	negative        an error: ^result (that is -1-result) is the length of a message that it
//	                has written to out_ptr: answered with "function error". There is room for
//	                at least 1024 bytes, whatever out_cap says.
//
// Both pointers are the host's areas and valid during the call.
//
// # Entry points and other exports
//
// An entry point is an exported function of the type (i32, i32, i32, i32) -> i32
// whose name begins neither with "_" nor with "rfaas_". Other exports (malloc,
// __heap_base, cabi_realloc) are ignored. The export rfaas_alloc stands for this version
// of the convention; another version would have another name for it.
//
// # Commands
//
// A module that exports _start of the type () -> (), and no _initialize, is a whole program. It
// exports its memory, and needs no rfaas_alloc. Its only entry point is _start. Each call is a run
// in a new instance: the standard input is the input, the standard output the result (what has no
// room is counted, and the call answered with "too large"), the only argument is Config.Name. The
// standard error goes to Config.Stderr. An exit status other than 0 is an invoke.FunctionError
// with this code; its message is the last of the standard error, at most 1024 bytes.
package wasm
