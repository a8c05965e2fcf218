package simnet

import "time"

// queue holds what a lane with a limited speed has not begun to move yet, or is
// moving. The datagrams themselves are elsewhere: only their departures count.
type queue struct {
	waiting []departure // in order
	bytes   int
	free    time.Duration // when the last of them is through
}

type departure struct {
	at    time.Duration
	bytes int
}

// room reports whether there is room for a datagram now.
func (q *queue) room(c *Config, now time.Duration, bytes int) bool {
	for len(q.waiting) > 0 && q.waiting[0].at <= now {
		q.bytes -= q.waiting[0].bytes
		q.waiting = q.waiting[1:]
	}
	if c.QueueDatagrams > 0 && len(q.waiting) >= c.QueueDatagrams {
		return false
	}
	return c.QueueBytes == 0 || q.bytes+bytes <= c.QueueBytes
}

// add puts a datagram in, and returns when it has left.
func (q *queue) add(c *Config, now time.Duration, bytes int) time.Duration {
	if c.BytesPerSecond == 0 {
		return now
	}
	q.free = max(q.free, now) + time.Duration(int64(bytes)*int64(time.Second)/c.BytesPerSecond)
	q.waiting = append(q.waiting, departure{q.free, bytes})
	q.bytes += bytes
	return q.free
}
