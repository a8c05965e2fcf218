// Package rxe makes, lists and deletes the links of rdma_rxe, the Linux kernel's
// own software RoCE driver: an RDMA device on top of an ordinary network interface,
// to be used through libibverbs by any RDMA program. It speaks RDMA netlink, as
// iproute2's rdma(8) does, and needs no program to be installed.
//
// It is for programs that set up a machine. No transport imports it, as it pulls
// in a netlink library.
//
// All functions may be called concurrently. They act in the network namespace of
// the calling thread.
package rxe
