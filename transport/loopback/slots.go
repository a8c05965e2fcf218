package loopback

import "sync/atomic"

// slots counts the requests outstanding in a send, receive or shared receive
// queue. A slot is taken when a request is posted and given back when it is
// polled; one goroutine at a time takes.
type slots struct {
	depth int64
	used  atomic.Int64
}

// take takes n slots, or as many as there are.
func (s *slots) take(n int) int {
	n = min(n, int(s.depth-s.used.Load()))
	s.used.Add(int64(n))
	return n
}

func (s *slots) give(n int64) { s.used.Add(-n) }
