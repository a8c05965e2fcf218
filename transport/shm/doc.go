// Package shm is the transport between two processes of one machine: shared
// memory, nothing to install, no privileges. Import it for transport.Open("shm:").
//
// # How it works
//
// A region is a sealed memfd; its descriptor goes to every peer of its
// protection domain, which maps it. Writes, reads and atomics are carried out by
// the initiator's processor while posting: the target does nothing at all.
//
// Each end of a connection has a half: a memfd that it alone writes and that the
// peer maps read-only. In it is a ring of 64-byte slots for messages to the peer
// (a Send, or the notice of a WriteImm), and a few words: how much of the peer's
// ring has been consumed, whether this end sleeps. A slot carries its own
// sequence number, so that one cache line takes a message across. Sends of up to
// MaxInlineBytes travel in the half; of longer ones the receiver copies the
// bytes out of the sender's region, once.
//
// Every word has one writer, and there are no locks between processes: one that
// is killed or stopped at any instruction does not block the other. Its death
// closes the set-up socket, which the other end notices at once. A program that
// sleeps is woken by a message over that socket, which is written without
// waiting, whatever the peer does; no descriptor is shared but those of memory.
//
// There is nothing in the file system, and nothing remains when both ends are
// gone.
//
// # Limits of what it protects
//
// The initiator keeps the bounds: a peer's process can map every region of the
// protection domain it is connected to, and read all of it. Regions that grant
// neither RemoteWrite nor RemoteAtomic are sealed against being mapped writable;
// a region that grants one of them, and what is shared of it (ProtectionDomain.Share),
// can be written everywhere by a peer that does not use this package. Give tenants that do not trust each other separate
// protection domains, and memory that is not reused; this package never reuses
// a region's memory for another.
//
// What a peer can make this process map is bounded, for each connection and for all:
// see maxRegions and mapped. A region that cannot be mapped is lost: requests to it
// fail, and say why.
//
// # Differences from RDMA hardware
//
// A one-sided request may take effect before an earlier Send or WriteImm has met
// its receive; it never completes before it. A Send waits for a receive without
// a limit (RNR retry is infinite).
package shm
