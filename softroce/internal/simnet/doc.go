// Package simnet simulates a network of datagrams: ends, joined by lanes that
// lose, duplicate, reorder, corrupt, delay and drop what is sent through them,
// under a clock that stands still until it is moved. Everything that happens is
// decided by one seed, so that a run that failed can be repeated to the last
// bit.
//
//	Network  the clock, and the queue of what is to happen
//	End      sends and receives datagrams
//	Lane     one direction between two ends, with its faults
//
// A datagram takes this way, each step of which may be its last:
//
//	Send -> severed? -> longer than the MTU? -> room in the queue? -> lost?
//	     -> the queue's time, delay, jitter, perhaps held back -> severed meanwhile?
//	     -> received, perhaps corrupted; a copy of it perhaps again
//
// A lane keeps the order in which datagrams were sent, whatever the jitter,
// except for those that are held back (Config.Reorder) and for second copies.
//
// A Network and all that belongs to it is used by one goroutine at a time.
package simnet
