// Package client calls functions of one worker or several, from any goroutine.
//
//	c, err := client.Dial(ctx, device, "unix:@one", "tcp:10.0.0.2:7000")
//	n, err := c.Call(ctx, "resize", in, out)
//
// An invoke.Client is a connection to one worker, for one goroutine. A Client has one
// for each of its workers, takes the worker that is free, and goes on when one is
// lost.
//
//	Client  lanes and the calls that wait for one
//	lane    a connection to a worker, and the goroutine that drives it
//	Worker  what Config.Dial returns: the connection, and who knows its fate
//	Future  a call under way
//	Start   a call whose end a function is told
//	InPlace input and result of a call in registered memory, which copies neither
//	Map     a function over a sequence of inputs, with bounded memory
//	Error   a call that failed: what was tried, and where
//
// # Who gets a call
//
// Calls wait in one queue, and lanes take from it as their workers get free. A
// worker executes one call after the other, so what is sent to it early only
// waits there instead of here, where the next free worker could take it. Hence a
// lane sends ahead no more than keeps its worker busy: at most Config.Depth
// calls, which are expected to take at most Config.Ahead, judging by what their
// function took there before. A function of 20 us is pipelined, one of a
// second is not. A lane whose worker has not answered a call that was given up
// takes none: the worker may still be executing it. Its function's context has ended.
//
// # Retries
//
// A call is made again if it was provably not started (the connection was lost
// before it was sent, the worker is busy or being taken away), or if its worker
// was lost or taken away while it ran and the function is declared idempotent; never more often than
// Config.Attempts, nor beyond its context; on another lane if one is idle. A
// call that has lost a worker before gets the next one to itself, so that an
// input that kills workers does not take its neighbours along again and again.
// What a live worker answers, a crash that it survived included, is the answer.
//
// # Waiting
//
// Config.Mode says how long a lane polls when nothing happens. After that it
// sleeps in its connection (invoke.Client.Await) until there is a reply, a call for
// it, or one to be given up. After a Call a lane sleeps at once: the next caller drives
// it. Lanes poll by themselves, so invoke.Warm suits the
// connections that Config.Dial makes best. With Config.Idle a lane lets its worker
// go when there are no calls for it, and dials when there are again.
//
// # Cost
//
// Who calls and waits (Call) drives a lane that has nothing to do, which adds some
// hundred nanoseconds to what an invoke.Client takes. Otherwise, as with Go and Start, a
// call passes from the caller's goroutine to the lane's and back: some microseconds when
// either sleeps, several hundred nanoseconds when not. Large inputs and results are
// best moved in place: CallInPlace.
package client
