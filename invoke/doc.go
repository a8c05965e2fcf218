// Package invoke calls functions of another process, or another machine, over a
// transport: a worker offers Go functions by name, clients call them with bytes
// and get bytes back. A call costs one write with immediate data each way.
//
// # Objects
//
//	Registry  functions by name, what a worker offers
//	Worker    executes calls for hundreds of clients, on one goroutine unless told otherwise
//	Client    calls the functions of one worker, driven by one goroutine
//	Handle    a function of a client's worker
//	Future    a call in flight
//	Buffer    registered memory for calls that copy nothing
//	Memory    registered memory for calls of several clients, wherever they want it
//	Mode      how either end waits: hot, warm or adaptive
//
// # Slots and credits
//
// When a client connects, it and the worker agree on a number of slots and their
// size. Each end has a region of that many slots which the other one writes to.
//
//	client                                              worker
//	credits: 2 1 0          WRITE WITH IMMEDIATE
//	+--------+--------------+      slot 0       +--------+--------------+
//	| header | input        | ----------------> | header | input        | slot 0
//	+--------+--------------+                   +--------+--------------+
//	  staged                                      ...      | function
//	                                                       v
//	+--------+--------------+      slot 0       +--------+--------------+
//	| header | result       | <---------------- | header | result       | slot 0
//	+--------+--------------+                   +--------+--------------+
//	  replies                                     staged
//
// A slot without a call is a credit. Sending a request takes one, and at most
// one call is in a slot at a time; the reply, once collected, gives it back. So
// neither end can overrun the other, and memory is bounded by what was agreed.
// A call that its caller gave up keeps its slot until the reply has come
// (quarantine): so a late reply never lands in a later call's memory. The
// layout of the headers, the ids and the immediate data is in protocol_wire.go.
//
// # Rendezvous
//
// An input that is longer than a slot stays in registered memory of the client:
// the caller's Buffer, or a buffer that the client lends to the call and copies
// the input to. The request says where it is, and how much room there is for the
// result, and where.
//
//	client                                              worker
//	buffer                  WRITE WITH IMMEDIATE
//	+--------+              header only                 +--------+
//	| header | -----------------------------------> | header | slot 0
//	+--------+------------+    READ, in parts           +--------+
//	|        | input      | --------------------------> memory of its own
//	+--------+------------+                               | function
//	| header | room       |    WRITE, in parts            v
//	|        | for result | <-------------------------- memory of its own
//	+--------+------------+    WRITE WITH IMMEDIATE     +--------+
//	| header | <----------------------------------- | header | slot 0
//	+--------+              header only                 +--------+
//
// A result that fits into a slot comes with the header. One that is to go into a Memory is not
// written by the worker: it says where it has it, the client reads it, and says so. For a
// worker that was given up could still write when the memory is the caller's again.
//
// Such calls wait in a queue for each client. The first two of the queue have memory, and
// so have those whose function runs beside the loop (WorkerConfig.Concurrency) or whose
// result the client reads. The worker moves parts of 256 KiB at most, and looks at
// requests in between. So they do not keep others waiting, and small calls overtake them. A worker bounds what it sets aside, see
// WorkerConfig.CallBytes; both ends keep memory for the next such call, for some
// seconds. When the deadline passes, or the caller gives up, in the middle, the
// worker stops as soon as the device has done with the parts under way; the
// client's memory is in quarantine until the reply, as a slot is. A client that
// names memory that it does not have, or that may not be read, loses its
// connection.
//
// # Credit
//
// Without a credit, a call fails with ErrNoCredit, unless an abandoned call's slot
// is about to be free and the caller may wait for it (NoWait). A call that waits for
// others to be answered would wait for ever: only its caller collects them.
//
// # Ownership of memory
//
//	memory                       belongs to
//	in of Call and Go            the caller; it is copied before they return, if it is not
//	                             a Memory's
//	out of Call and Wait         the caller; the result is copied there, or read into it if
//	                             it is a Memory's
//	Buffer, input and result     the caller until Buffer.Go or Call; then the call,
//	                             until its reply has come, even if it was abandoned
//	Memory                       the caller, who leaves alone what a call is reading
//	                             or will answer into, until it has ended
//	what a call is lent          this package; until the result was copied to the caller,
//	                             or the reply of an abandoned call has come
//	in and out of a Function     the function, until it returns
//	worker's memory beyond       this package; it is one client's, and never another's
//	slots, at both ends          this package; freed when the connection ends, after
//	                             the right to write there has ended
//	token of Authorize, NewMeter this package; valid during the call
//
// A slot is written again only when the message from the other end proves that
// what was in it has arrived. Its completion may still be due then. That is sound
// for reliable connections: all that a device could still do is to repeat what
// the other end has already taken, and the other device throws repeats away.
//
// # Waiting
//
// Every wait takes a context, and ends with it; only the reading of a result into a Memory
// is waited for to its end. Call and Future.Wait are for one
// call; Client.Await is for programs that drive many, and want to be woken from
// elsewhere, too. The deadline of a call's context
// travels with the call as a duration, because clocks differ: a worker does not
// start a call whose time has passed since it noticed the request, and the
// context of the function ends then. A client that gives up a call tells the
// worker, which then does not start it if it has not, and otherwise ends the
// context of its function. The function's reply comes all the same, and ends the
// quarantine. See worker_cancels.go for how that costs nothing while no call is given up.
//
// # Metadata and hooks
//
// Metadata go with a call, behind its input, and are found in the context of the function:
// CallOptions.Metadata, MetadataOf. Registry.Wrap puts a hook around functions; hooks
// around calls are those of package client. Packages tracing and metrics have both, for
// OpenTelemetry and Prometheus.
//
// # Failures
//
// A call that ends with another status than ok is an *Error: which status, what
// the function or the worker has to say, and whether the call was started. When
// the connection ends it is a *GoneError, which says whether the call may have
// been executed. A function that panics does not end the worker. One that never
// returns keeps the worker from other calls, and from ending: see Worker.Serve.
//
// # Cost
//
// On the way of a call in hot mode there is no allocation, lock, wait for a channel or
// system call, and no map. A header is one cache line, and in the usual case
// neither end has to touch the other's: what it needs is in the immediate data.
//
// # Files
//
// client_*.go are the side that calls, worker_*.go the side that executes, protocol_*.go
// what they say to each other. *rendezvous* is what is different for payloads beyond the
// slots: the two meet, and the worker moves the bytes, but for results into a Memory.
package invoke
