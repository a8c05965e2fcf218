package job

import (
	"context"
	"sync"
)

// source hands the inputs out, in order, each once.
type source struct {
	stop context.Context // no input is handed out after its end

	mu     sync.Mutex
	inputs []*Input
	reason error // why no more are handed out
}

// take returns the next input, or nil when there is none.
func (s *source) take() *Input {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done() {
		return nil
	}
	in := s.inputs[0]
	s.inputs = s.inputs[1:]
	return in
}

func (s *source) done() bool { return len(s.inputs) == 0 || s.reason != nil || s.stop.Err() != nil }

// halt makes this the reason why no more inputs are handed out. The first
// reason stands.
func (s *source) halt(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		s.reason = reason
	}
}

// halted is the reason given to halt, if there was one.
func (s *source) halted() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}
