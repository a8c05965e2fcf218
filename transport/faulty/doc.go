// Package faulty is a decorator that injects faults into any provider:
// transport.Open("faulty+shm:?seed=7&queue-full=0.1"), or New.
//
// All faults keep the provider contract: a correct program has to survive them.
// The parameters, as fields of Config and in a URL:
//
//	seed         which faults: an unsigned 64-bit number. Default 0
//	queue-full   chance that a posted send is refused with ErrQueueFull, though
//	             only while an earlier signaled one is outstanding whose
//	             completion the program can wait for
//	recv-full    the same for posted receives. A program that counts on the depth
//	             of its receive queue, as it may, does not survive this one
//	hold         chance that a completion, and with it all behind it in its
//	             queue, is held back
//	hold-polls   for how many polls, at most. Default 8
//	wake         chance that a sleeping Wait returns without a reason
//	status       chance that a posted send fails: see below
//	disconnect   chance that the connection is cut when a request is posted
//
// Chances are from 0, the default, to 1. Up to wake the faults are benign: the
// program notices nothing but the time. The last two end a connection.
//
// # Determinism
//
// Which request of which connection, which completion of which queue and which
// Wait is hit follows from the seed and from the order in which these were made
// and used, and not from time: the n-th request of connection c is either hit
// in every run with a seed or in none. At most one fault of a kind hits a
// request, so that posting again makes progress.
//
// # How a request fails
//
// The request goes to the provider with a remote address that is in no region (a
// Send goes as a Write), so that the connection really fails, at both ends, as
// that provider's connections do. The completion is then given a random failure
// status, and Vendor 0xfa17. Requests without a byte cannot be made to fail like
// this; the next one with any is hit instead.
//
// # How a connection is cut
//
// The set-up stream is cut without a goodbye, as if the peer had died, at both
// ends: each sees transport.ErrPeerGone.
//
// # Cost
//
// A few nanoseconds a post and a poll, and a look into a table for each
// completion if queue-full, recv-full or status is set. No allocations, but for
// the fault itself.
package faulty
