// Package transport moves bytes between two programs without the help of the
// one at the other end: one-sided writes and reads, atomics, and send and
// receive, over whatever connects them. It is a thin, concrete front (Device,
// ProtectionDomain, Region, Queue, Conn) over providers that can be swapped by
// URL; the vocabulary is that of RDMA verbs.
//
// # Objects
//
//	Device            a provider's endpoint: Open("shm:"), Open("softroce://127.0.0.2")
//	ProtectionDomain  groups regions and connections that may be used together; one per tenant
//	Region            registered memory, never Go heap; Span and Remote name parts of it
//	Queue             a completion queue; any number of connections may share one
//	SharedReceive     a queue of receives that many connections take from
//	Conn              a reliable, ordered connection (a queue pair)
//
// # Ownership of memory
//
// Posting a work request lends its local memory to the device. The device owns
// it
//
//   - until the request's completion has been polled,
//   - for an unsignaled request: until the completion of a later request of the
//     same connection has been polled,
//   - for a request posted with Inline: not at all; the bytes were copied when
//     Post returned,
//   - in every case until the connection is closed and its flushed completions
//     have been polled.
//
// Until then the program must not write to memory that is being sent, and must
// neither read nor write memory that is being filled. Cancelling a wait
// (Queue.Wait with a context) abandons the wait and nothing else: the memory
// remains the device's. A program that stops waiting for an answer must not
// reuse the buffer until the completion arrives or the connection is flushed.
//
// # The end of a right
//
// Region.Close revokes a region. When it returns, no work request, local or
// remote, posted before or after, reads or writes the memory that the program
// saw: later requests that name it fail with StatusLocalProtection or, at the
// remote initiator, StatusRemoteAccess, and take their connection to the error
// state. A remote initiator that was stopped in the middle of a write touches,
// at worst, pages that no program will ever see again. To end the rights of one
// peer, close its Conn first, then its regions, and only then reuse what they
// guarded. A number in a message header is no fence.
//
// # Concurrency
//
// One goroutine at a time posts sends on a Conn, one posts receives, and one polls
// a Queue. A second one gets ErrConcurrentUse, without effect. Everything else,
// Close included, may be called from anywhere at any time. Close does not wait for
// the program's own use of Region.Bytes: see Region.Hold.
package transport
