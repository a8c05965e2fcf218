// Package benchmarks measures transports end to end, and the bare media under
// them, between two processes on two cores. `rfaas bench` gives it flags.
//
// # What is measured
//
// Run starts a second process, the peer, which is the running program again:
// its main calls RunPeerIfAsked first. Each of the two runs the measured loop on
// a thread of its own, pinned to a core of its own. Both go through a warm-up
// before the clock starts.
//
//   - Latencies (-lat) are round trips: time from posting until the peer's answer
//     was seen, or, for reads and atomics, which the peer's program does not
//     answer, until the completion was polled. ib_write_lat and ucx_perftest
//     print half of it. The end of one round trip is the beginning of the next
//     one: one reading of the clock each, the same in the baselines. Calls (invoke-lat)
//     take two: the time between them does not count.
//   - Bandwidths (-bw) count payload from the first post until the peer confirmed
//     that the last byte is there. They measure no round trips, and have no rtt_ns.
//   - Percentiles come from every sample. They are exact to the nanosecond up to
//     32 us and to 1 in 10000 beyond. The clock itself may step more coarsely,
//     by about 10 ns on many AMD processors.
//   - bytes_per_s counts the payload in one direction.
//   - allocs_per_op is the heap allocations of both processes during the measured
//     loop, divided by the operations and rounded to 0.001 (0.1 in the table). The
//     Go runtime's own count, too: a few for each thread that it starts meanwhile.
//
// # Several transports
//
// Config.Others are measured in the same run: each transport has a part of the
// iterations in each of five rounds, in turns, with processes of its own every time.
// A result has the samples of all its rounds, and compares the rounds' medians, or
// bytes a second, with those of the first transport: Result.Ratio. Functions take
// turns with each other, over one transport after the other.
//
// # How a completion is waited for
//
// Mode hot polls, warm sleeps at once, adaptive polls for AdaptiveSpin and then
// sleeps, on both sides alike (transport.Queue.Wait). Tests that watch memory
// for the peer's write have no completion to sleep on, and only the mode hot.
//
// # Payload
//
// In the tests of transports a receiver loads the first and the last byte of each
// message, so that their cache lines have really moved when the clock stops, and
// compares them with what the sender stored there; in write-bw and read-bw those of
// each buffer, at the end. The function that invoke-lat, -rate and -bw call does
// not look at its input. What a sender sends is not written again before its
// completion: it goes round a few buffers.
//
// # Baselines
//
// The baseline tests use no package of this project in their loops.
// testdata/ holds independent C programs that do the same; check-baselines
// compares the two. Config.Baseline chooses by the device: one that reaches other
// machines (transport.FeatureCrossHost) is compared with UDP, others with shared
// memory.
//
// baseline-udp-lat sends a datagram to and fro over the loopback interface, with
// sockets that are not connected, as a protocol has them that serves many peers
// on one port.
//
// baseline-udp-bw streams datagrams one way, with UDP_SEGMENT at the sender and
// UDP_GRO at the receiver. A message is cut as a RoCE Write at a path MTU of 4096
// is: each datagram has 4096 bytes of payload, which count, and 16 that do not,
// the size of the base transport header and the check sum. So both move as many
// datagrams and as many bytes for a message. 15 of these 4112 bytes fit the 64
// KiB of one segmented send. Nothing is lost: now and then a datagram comes back
// that allows more, within half of the receiver's socket buffer. Neither side
// makes or takes apart a packet, computes a check sum, or puts the payload into
// its place; the sender sends the same bytes again and again, which its caches
// hold.
//
// # Leases
//
// In lease-lat the peer is an agent that polls, and the measuring side drives the
// protocol itself, on the measuring thread. A sample is the time from sending a
// request until the grant is there, and from sending the release until the agent has
// said that the lease ended: two round trips of messages of 512 bytes. Nobody
// connects to the worker, so no process starts. The results of its companions follow,
// of the same run: send-lat with messages of that size, leases that are used
// (lease-used, with Steps; lease-first-call), and cold-start. For these the agent is
// in the measuring process, as the supervisor of cold-start is.
//
// # Counters
//
// An adapter may have a method
//
//	Counters() map[string]uint64
//
// that tells what it counts, under names of its choice: all of them each time,
// none ever decreasing. Result.Counters is by how much they rose at the measuring
// side. WriteTable prints those that are not 0 and whose name has "retransmi",
// "nak", "rnr" or "icrc" in it.
package benchmarks
