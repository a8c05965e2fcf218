// Package verbs is the provider for RDMA devices: InfiniBand and RoCE adapters,
// and the kernel's software RoCE (rxe), through libibverbs.
//
// Import it for its side effect, and open it by URL:
//
//	verbs:                   the first device with an active port
//	verbs://mlx5_0           its first active port
//	verbs://mlx5_0/2         port 2
//	verbs://192.0.2.7        the device and port that have this address
//	verbs://[fd00::7]
//
// libibverbs is looked for when the first device is opened: neither it nor its
// headers are needed to build, only a C compiler is. In a build without cgo, and
// where the library or a device is missing, opening fails with
// transport.ErrNotSupported and a text that says what to install.
//
// # Parameters
//
//	gid=3             index of the port's GID table; default: see below
//	mtu=1024          a smaller path MTU: 256, 512, 1024, 2048, 4096
//	resources=16      READs and atomics that each end may have open at the other
//	rnr-timer=12      code of the time a sender waits when there is no receive (12: 640 us)
//	rnr-retries=7     how often it tries again; 7 is for ever
//	ack-timeout=268ms time to wait for an acknowledgement; rounded up to 4.096 us times a power of two
//	retries=6         timeouts in a row after which it tries again; one more, and the peer is given up (7 is for ever on rxe)
//	sl=0 tc=0         service level, and traffic class (DSCP and ECN bits) of packets
//	psn=0xfffff0      first packet sequence number, for tests; default random
//
// # The GID
//
// On Ethernet the GID decides the protocol and the IP address of the packets. A
// wrong GID is the most common problem with RoCE, so Capabilities.Notes explain
// the choice: RoCE v2 and not v1, IPv4 before IPv6, and the interface's primary
// address before others. An address in the URL, or gid, overrides this.
//
// # Interoperation
//
// Both ends of a connection swap RoCE addresses as softroce does, so a device on
// one end and softroce on the other connect.
//
// # Trust
//
// Packets of RoCE are not authenticated: whoever can send on the network can, with
// a good guess of three numbers, write into memory that is registered for peers.
// Use an RDMA device only on a trusted network. See docs/PROTOCOL.md.
package verbs
