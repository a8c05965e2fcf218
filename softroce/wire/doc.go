// Package wire has the packets of RoCEv2: the transport headers of reliable
// connections and of the datagrams that connection management uses, the
// invariant CRC that seals them, and the arithmetic of their fields. It does no
// I/O and allocates nothing.
//
// A RoCEv2 packet is the payload of a UDP datagram:
//
//	BTH 12 | extension headers 0..28 | payload | pad 0..3 | ICRC 4
//
// Packet is the first three of these, Flow computes and verifies the last,
// which covers most of the IP and UDP headers, too. The formats are those of the
// InfiniBand Architecture Specification, volume 1, chapter 9, and of its annex
// A17 (RoCEv2).
package wire
