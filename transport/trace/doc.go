// Package trace is a decorator that records what is posted and what completes:
// transport.Open("trace+shm:?file=shm.trace"), or New with a Recorder.
//
// A Recorder keeps the most recent records in memory that it allocates once, and
// counts the older ones that it overwrote. It is written out as text, a line
// each, or to an slog.Logger; with a URL, when the device is closed. The
// parameters of a URL:
//
//	file     where to write the text: a path, in which {pid} is replaced by the
//	         process ID, or "-" for standard error. Until the device is closed,
//	         the file is locked: each device needs its own
//	records  how many records to keep: 1 to 16777216, 32 bytes each. Default 65536
//
// The text begins with a line that says how many records there are and how many
// were dropped, and one that names the columns:
//
//	# 3 records, 0 older ones dropped
//	# time_ns conn event op id bytes status
//	15204 1 post send 7 64 -
//	15611 1 done send 7 0 ok
//	19950 1 full send 8 64 -
//
// The time is counted from the making of the Recorder. Connection 0 means a
// shared receive queue. An event is "post" for a request that the provider
// took, "full" for one that it refused with ErrQueueFull, and "done" for a
// completion, recorded when it was polled; unsignaled requests have none.
//
// # Cost
//
// No allocations. A call that posts or polls something takes longer by reading
// the clock and by a mutex, about 70 ns together on the virtual machine that this
// was written on, and by a few nanoseconds for each request or completion; a poll
// that finds nothing costs 2 ns. Programs with many threads on one device share
// the mutex. What a trace says about latency includes this. BenchmarkWrite
// measures it.
package trace
