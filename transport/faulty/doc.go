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
//	delay        how long a message takes one way, as in 200us
//	jitter       by how much that varies, up or down, uniformly
//	rate         bits a second at which bytes follow each other: 10Gbit, 2.5Mbit,
//	             56kbit, by thousands
//
// Chances are from 0, the default, to 1. Up to wake the faults are benign: the
// program notices nothing but the time. Status and disconnect end a connection.
//
// # A slow network
//
// With delay, jitter or rate, completions are held back until they are due:
//
//   - A receive's comes a delay after the first poll that could have seen it.
//   - That of an own request comes two delays, there and back, after it was posted.
//   - With a rate, the bytes of a connection follow each other: those of its sends
//     and writes, those that it receives, and those that its reads and atomics ask
//     for, each on a link of its own. A message arrives with its last byte.
//   - A failure's comes behind those that are held.
//
// Delays vary by the jitter and are never negative. All completions of a queue keep
// their order, so that a receive also waits for the completion of an own request
// before it in the queue; with a queue for each, it does not. Requests whose
// completions are held back count as outstanding.
//
// Only completions are late. Memory is written at once, so a program that watches
// memory would not notice the network: FeatureWatchMemory is not offered. A program
// that polls gets a completion when it is due; one that sleeps wakes up to a
// millisecond or two later. With package softroce, packets are late instead: there
// these are parameters of its own.
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
// completion if queue-full, recv-full or status is set, or the network is slow. No
// allocations, but for the fault itself, and for a timer when a program sleeps while
// a completion is held back by a slow network.
package faulty
