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
//     one: one reading of the clock each, the same in the baselines.
//   - Bandwidths (-bw) count payload from the first post until the peer confirmed
//     that the last byte is there. They measure no round trips; their rtt_ns is 0.
//   - Percentiles come from every sample. They are exact to the nanosecond up to
//     32 us and to 1 in 10000 beyond. The clock itself may step more coarsely,
//     by about 10 ns on many AMD processors.
//   - bytes_per_s counts the payload in one direction.
//   - allocs_per_op is the heap allocations of both processes during the measured
//     loop, divided by the operations and rounded to 0.001.
//
// # How a completion is waited for
//
// Mode hot polls, warm sleeps at once, adaptive polls for AdaptiveSpin and then
// sleeps, on both sides alike (transport.Queue.Wait). Tests that watch memory
// for the peer's write have no completion to sleep on, and only the mode hot.
//
// # Payload
//
// A receiver loads the first and the last byte of each message, so that their
// cache lines have really moved when the clock stops, and compares them with
// what the sender stored there. What a sender sends is not written again before
// its completion: it goes round a few buffers.
//
// # Baselines
//
// The baseline tests use no package of this project in their loops.
// testdata/ holds independent C programs that do the same; check-baselines
// compares the two.
package benchmarks
