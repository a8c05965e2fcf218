package benchmarks

import (
	"context"

	"github.com/rfaas-go/rfaas/transport"
)

// sender posts messages one at a time, from a ring of prepared requests whose
// buffers it does not give out again before the device is done with them. One
// request in every is signaled.
type sender struct {
	*end
	ring        []transport.WorkRequest
	every       uint64
	at          int    // the slot of the next request
	posted      uint64 // requests posted
	done        uint64 // of them, known to be finished
	completions []transport.Completion
}

// newSender prepares a ring: request makes the one for each slot.
func newSender(e *end, length int, request func(slot int) transport.WorkRequest) *sender {
	s := &sender{end: e, every: uint64(max(length/2, 1)), completions: make([]transport.Completion, 4)}
	// A ring of whole periods, so that the same slots are always the signaled ones.
	for slot := range length / int(s.every) * int(s.every) {
		wr := request(slot)
		if (slot+1)%int(s.every) == 0 {
			wr = wr.With(transport.Signaled)
		}
		s.ring = append(s.ring, wr)
	}
	return s
}

// slot is the next buffer to send from, when the device is done with it.
func (s *sender) slot(ctx context.Context) (int, error) {
	for s.posted-s.done >= uint64(len(s.ring)) {
		if err := s.wait(ctx); err != nil {
			return 0, err
		}
	}
	return s.at, nil
}

// post sends the slot that slot gave out.
func (s *sender) post(slot int) error {
	wr := &s.ring[slot]
	if s.at++; s.at == len(s.ring) {
		s.at = 0
	}
	s.posted++
	wr.ID = s.posted
	wr.Imm = uint32(s.posted)
	_, err := s.conn.Post(*wr)
	return err
}

// reap takes a completion if one is due and there. It is for the time in which
// a message is under way.
func (s *sender) reap() error {
	if s.posted-s.done < s.every {
		return nil
	}
	n, err := s.sends.Poll(s.completions)
	if err != nil {
		return err
	}
	return s.take(n)
}

// wait waits for a completion.
func (s *sender) wait(ctx context.Context) error {
	n, err := s.sends.Wait(ctx, s.completions, s.spin)
	if err != nil {
		return err
	}
	return s.take(n)
}

func (s *sender) take(n int) error {
	for i := range s.completions[:n] {
		c := &s.completions[i]
		if c.Status != transport.StatusOK {
			return s.failed(c)
		}
		s.done = max(s.done, c.ID) // 0: a request that somebody else posted
	}
	return nil
}
