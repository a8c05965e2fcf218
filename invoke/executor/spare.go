package executor

import (
	"slices"
	"time"
)

// takeSpare is an executor that is ready for an assignment, nil if there is none.
func (s *Supervisor) takeSpare(core int) *Executor {
	s.mu.Lock()
	defer s.mu.Unlock()
	for core == AnyCore && len(s.spares) > 0 {
		e := s.spares[0]
		s.spares = slices.Delete(s.spares, 0, 1)
		s.lookAfterSpares()
		select {
		case <-e.ended: // somebody killed it
			e.discard()
		default:
			return e
		}
	}
	return nil
}

// lookAfterSpares has the keeper look.
func (s *Supervisor) lookAfterSpares() {
	select {
	case s.keep <- struct{}{}:
	default:
	}
}

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
			e, err := s.prepare(s.life, AnyCore)
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

// missing forgets the spares that have died, and reports whether there are too few.
func (s *Supervisor) missing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spares = slices.DeleteFunc(s.spares, func(e *Executor) bool {
		select {
		case <-e.ended:
			e.discard()
			return true
		default:
			return false
		}
	})
	return !s.closed && len(s.spares) < s.cfg.Spares
}

// Spares is how many executors are ready for an assignment.
func (s *Supervisor) Spares() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.spares)
}
