// Package softroce is RoCEv2 in user space: RDMA reliable connections over an
// ordinary UDP socket, without hardware, kernel module or privilege, wire-
// compatible with the Linux kernel's rxe driver and with RoCE hardware.
//
// Import it for its side effect, and open it by URL:
//
//	softroce:                      loopback: 127.0.0.1 or, if another engine has it, a random 127.x.x.x;
//	                               another port of 127.0.0.1 if 4791 is taken everywhere, as by rxe
//	softroce://127.0.0.2           UDP 127.0.0.2:4791
//	softroce://[::1]:4800          another port: the ends exchange them
//	softroce://192.0.2.7?trust-network
//
// Several processes of one machine each have an engine of their own: on loopback
// they need do nothing ("softroce:"); otherwise give each an address or a port. Hardware and
// rxe listen on 4791 only.
//
// # Parameters
//
//	trust-network     allow an address that is not loopback; packets are not authenticated
//	mtu=1024          a smaller path MTU: 256, 512, 1024, 2048, 4096
//	segmentation=off  do not use UDP_SEGMENT
//	icrc=exact        check all 32 bits of the ICRC over IPv4: takes a raw socket (CAP_NET_RAW) and time
//	resources=16      READs and atomics that a peer may have open
//	rnr-timer=12      code of the time a sender waits when there is no receive (12: 640 us)
//	rnr-retries=7     how often it tries again; 7 is for ever
//	retries=15        how often it sends again before the peer is given up
//	min-timeout=5ms   shortest and
//	ack-timeout=1s    longest time to wait for an acknowledgement
//	psn=0xfffff0      first packet sequence number, for tests; default random
//	loss=0.01 duplicate=0.01 reorder=0.01 corrupt=0.01 seed=1
//	                  faults injected into what is received: probabilities per packet
//	delay=200us       what is received comes this much later: one way, so both ends have it;
//	jitter=50us       that varies by up to so much, uniformly, never below 0, and the order is kept;
//	rate=10Gbit       and follows each other at this rate: bits a second of IP packets, headers included
//
// Of these, loss, reorder, corrupt and duplicate are decided first; what comes through then
// crosses a link of the rate, and then the delay with its jitter. All connections of an engine
// share the link. It holds 4096 packets back, in memory that is allocated with the engine; what
// does not fit is lost, as in a router. The end of a connection waits for what was sent before.
// With a delay of more than half of min-timeout, packets are sent again too early: set that to
// several times the delay.
//
// # Structure
//
//	softroce                  sockets, engine, background side; the provider of package transport
//	softroce/internal/rc      one queue pair of a reliable connection: a state machine without I/O
//	softroce/wire             packet formats and the ICRC
//	softroce/internal/simnet  a simulated network, for tests of rc
//
// # Who drives
//
// An engine has one socket and any number of queue pairs. A goroutine that polls a
// queue or posts a request takes the engine lock (a compare-and-swap) and drives
// the engine: it receives a batch, has the state machines handle it, and sends
// their packets. Nothing on this path allocates, blocks or switches threads. A
// goroutine that finds the lock taken leaves its request to the holder. When no
// program has driven for half a millisecond to a millisecond, or when all sleep,
// the background side drives: a goroutine parked on the socket.
//
// Memory of regions is touched only by the holder of the lock, and looked up for
// each packet, so a revoked region cannot be reached once Revoke has held the lock.
package softroce
