// Package remote reads and writes a peer's memory with ordinary Go slices, from any
// goroutine:
//
//	memory, err := remote.Dial(ctx, device, "tcp", address, remote.Config{})
//	err = memory.Write(ctx, span, []byte("hello"))
//	err = memory.Read(ctx, buf, span)
//	was, err := memory.FetchAdd(ctx, counter, 1)
//	memory.Close()
//
// A Memory is one connection with what that needs: a completion queue and registered
// buffers, through which all bytes go. The peer grants spans of its regions as always
// (Region.Remote); it does nothing else, and does not need this package.
//
// # Ownership of memory
//
// Slices are the caller's, and are so again when the call returns, however it ends. A
// call whose context ends returns at once. The buffers of its requests, which are the
// device's still, are kept aside until those are done.
//
// # What is known after an error
//
// Nothing about the peer's memory: a Write may have stored all, some or none of its
// bytes, an atomic may have been carried out, and when the context ended it may be
// so later. A request that the peer refuses ends the connection (transport.Status),
// and with it all other calls. A span that is too short is found before.
//
// # Order
//
// A call sees what calls that returned before it began have written. Calls at the same
// time have no order. A long transfer goes in pieces, in the order of the addresses.
// docs/MEMORY.md says what a Read sees of a concurrent Write, with which transports
// 8-byte words are whole, and against which accesses atomics are atomic.
//
// # Who drives
//
// There is no background goroutine. Of the calls that wait, one polls the queue and
// wakes the others when their completions arrive. When it is done, another takes
// over. Only abandoned requests have a goroutine each, until they complete.
//
// # Cost
//
// A copy of the bytes, and a few locks: on the virtual machine that this was written on,
// a Read of 8 bytes over shm takes 0.2 us, one of 1 MiB 0.1 ms. No allocations, but for
// errors. BenchmarkRead measures it. Programs for which the copy is too much post the
// requests themselves.
package remote
