// Package lease is the protocol by which tenants get cores of a node and give them
// back: its messages, and the state machines of the two sides. Neither does I/O or
// looks at a clock: a driver passes in messages and the time, and carries out the actions
// that result.
//
//	Hello    what the two sides say of themselves when they connect
//	Message  everything after that: of one size, over Send and Recv
//	Node     the agent's side: stock, admission, quota, expiry, revocation
//	Client   the tenant's side: requests, renewal, what is still held
//
// # Messages
//
//	client                              agent
//	Request (terms, life)          ->
//	                               <-   Grant (id, secret, life)
//	                               <-   Refusal (reason, what is free, when to ask again)
//	                               <-   Need: send the code, then ask again
//	Piece (where to read it)       ->
//	                               <-   Taken (up to where)
//	Renew                          ->
//	                               <-   Renewed (which one, life)
//	Release                        ->
//	                               <-   Ended (reason)
//	                               <-   Notice (reason, time left): stop using it
//	                               <-   Lost (worker, how): a process died, another one takes its place
//	                               <-   Draining: the node gives no more leases
//
// A request ends with one Grant, Refusal or Need that has its number.
//
// # Time
//
// There is no wall clock in it, only durations. A client counts the life of a lease from
// when it sent the request or the renewal, the node from when that arrived: so the client
// stops first, whatever the network does. It renews after a third of the life. An answer
// to an old renewal extends the lease from when that one was sent.
//
// # States of a lease
//
//	granted   workers are used
//	draining  there was a notice: calls that run may finish, and no more begin
//	fencing   it has ended; its processes are being ended
//	gone      cores and memory are back in stock
//
// A lease does not end with the connection over which it was granted. Only its tenant can
// use it, and clients of its workers have to present its secret.
package lease
