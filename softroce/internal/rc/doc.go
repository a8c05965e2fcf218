// Package rc is one end of an InfiniBand reliable connection, a queue pair, as a
// state machine without I/O: no socket, no clock, no goroutine, no lock. Its
// owner hands it the packets that arrived (Handle) with the time, and asks it
// for the packets to be sent (Next).
//
//	program ── Post ──▶ send queue ──▶ requester ──┐
//	                         ▲                     ├─ Next ──▶ packets
//	Sink ◀── Sent ───────────┴──── completer ◀─┐   │
//	                                           ├─ Handle ◀── packets
//	Sink ◀── Received ──────────── responder ◀─┘   │
//	                                   └─ answers ─┘
//
// The requester cuts requests into packets and sends them again from the oldest
// one that is missing (go-back-N). The completer takes what comes back for them,
// and ends requests in the order in which they were posted. The responder carries
// out the peer's packets in the order of their numbers, each of them once.
//
// # Memory
//
//	what                          whose, until when
//	a posted WorkRequest          copied by Post
//	an Inline payload             copied by Post
//	other local memory            the queue pair's until the request ended (Sink.Sent);
//	                              looked up again for each packet, as it may be revoked
//	a packet given to Handle      the caller's again when Handle returns
//	the payload that Next gives   the region's; valid until the next call of any method
//
// No payload is stored before the packet that has it was found to be in order and
// its rights were checked.
//
// # Concurrency
//
// Post may be called by one goroutine while another one, the driver, calls the
// other methods.
package rc
