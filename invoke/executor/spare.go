package executor

import (
	"slices"
	"time"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// takeSpare returns a spare executor that can take the order, nil if there is none.
func (s *Supervisor) takeSpare(o *Order) *Executor {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.spares) > 0 && s.spares[0].fits(o) {
		e := s.spares[0]
		s.spares = slices.Delete(s.spares, 0, 1)
		time.AfterFunc(replaceDelay, s.lookAfterSpares)
		if !e.hasEnded() {
			return e
		}
		e.discard()
	}
	return nil
}

// fits reports whether an executor that was started without an order can take this one.
// Its isolation cannot be relaxed afterwards, except for a memory limit by control group.
func (e *Executor) fits(o *Order) bool {
	if len(o.Assignment.loaderEnv()) > 0 || o.Assignment.Folder != "" {
		return false
	}
	if e.confined == nil {
		return true
	}
	return len(o.Assignment.Directories) == 0 && o.Assignment.Runtime != runtime.Command &&
		(e.memoryBytes == 0 || o.Assignment.memoryLimit(e.memoryBytes) <= e.memoryBytes || e.confined.Report().Applied(confine.MemoryLimit))
}

// lookAfterSpares wakes the keeper.
func (s *Supervisor) lookAfterSpares() {
	select {
	case s.keep <- struct{}{}:
	default:
	}
}

// replaceDelay is how long the replacement of a spare waits: a process that starts would
// take processors from the first calls.
const replaceDelay = 50 * time.Millisecond

// sparePause is how long the keeper waits after it could not start a spare.
const sparePause = time.Second

// keepSpares replaces spares that were taken or have died.
func (s *Supervisor) keepSpares() {
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.keep:
		}
		for s.missing() {
			e, err := s.prepare(s.life, nil, s.cfg.Confine, nil)
			if err != nil {
				if s.life.Err() != nil {
					return
				}
				s.log.Warn("no spare executor", "reason", err)
				select {
				case <-s.life.Done():
					return
				case <-time.After(sparePause):
				}
				continue
			}
			s.mu.Lock()
			s.spares = append(s.spares, e) // Close ends it with the others if it was too late
			s.mu.Unlock()
		}
	}
}

// missing removes the spares that have died, and reports whether there are too few.
func (s *Supervisor) missing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spares = slices.DeleteFunc(s.spares, func(e *Executor) bool {
		if !e.hasEnded() {
			return false
		}
		e.discard()
		return true
	})
	return !s.closed && len(s.spares) < s.cfg.Spares
}

// Spares is how many executors are ready for an assignment.
func (s *Supervisor) Spares() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.spares)
}
