// Package loopback is the in-process provider ("loopback:"): both ends of a
// connection live in one process. It is the executable specification of what a
// provider does. Every request is carried out under a lock, by the goroutine
// that posts it or, if it had to wait for a receive, by the one that posts the
// receive; there is no thread, no timer and no retry behind it.
//
// # What the other providers have to agree with
//
// A connection carries out the requests of one end in the order in which they
// were posted, and completes them in that order. A Send or WriteImm waits until
// the peer has a receive for it, however long that takes; what was posted after
// it waits behind it. A WriteImm with a bad remote span fails without waiting.
//
// A Send fills the receive and completes it as OpRecv with the number of bytes;
// a WriteImm leaves the receive's memory alone and completes it as OpRecvImm
// with the number of bytes written. On the sending side Bytes is 0.
//
// A send queue entry is free again when the completion of its request, or of a
// later one of the same queue, was polled; a receive queue entry, when its
// completion was polled.
//
// What fails, and how:
//
//	                                     requester                  responder
//	local region closed                  StatusLocalProtection      flushed
//	rkey, range, access, closed region   StatusRemoteAccess         flushed
//	receive too small                    StatusRemoteInvalidRequest StatusLocalLength
//	receive's region closed              StatusRemoteOperation      StatusLocalProtection
//	local memory not mapped              StatusLocalProtection      flushed
//	peer's memory not mapped             StatusRemoteOperation      flushed
//	receive's memory not mapped          StatusRemoteOperation      StatusLocalProtection
//	WriteImm, peer's memory not mapped   StatusRemoteOperation      StatusLocalProtection
//	peer gone without goodbye            StatusRetryExceeded        -
//
// In each case both ends go to the error state, everything else outstanding on
// either completes as StatusFlushed, requests posted later do so at once, and
// both programs are notified. The failed and the flushed complete whether
// Signaled or not. Receives that are in a shared receive queue stay there.
//
// Memory is "not mapped", too, when it is protected, or of a file that was truncated
// since it was registered. What was stored before the fault remains.
//
// Zero bytes have no address: a write or read of no bytes checks no rkey.
//
// The last eight bytes of what a Write stores, if aligned to eight and from one
// span, are stored last and in one piece, so that the peer may watch them with
// atomic loads.
//
// # Race detector
//
// In a build with -race, regions live on the Go heap, so that the race detector
// sees when the two ends touch the same memory without a completion, or an
// atomic, in between. That is safe here because the peer is the same process.
// Only locks that a real provider has as well order the two ends: those of the
// connection and of the completion queue.
package loopback
