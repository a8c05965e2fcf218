package job

import (
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
)

// sink takes the results. Any goroutine may call its methods.
type sink interface {
	// deliver takes the result of an input. The memory is the caller's again when
	// it returns.
	deliver(in *Input, result []byte) error
	// skip says that there will be no result. For each input that is tried either
	// deliver or skip is called.
	skip(in *Input)
}

// directory writes each result to a file of its own.
type directory struct{}

func (directory) deliver(in *Input, result []byte) error { return atomicfile.Write(in.Output, result) }

func (directory) skip(*Input) {}

// stream writes the results one behind the other, in the order of the inputs.
type stream struct {
	w io.Writer

	mu   sync.Mutex
	next int // whose turn it is
	turn sync.Cond
}

func newStream(w io.Writer) *stream {
	s := &stream{w: w}
	s.turn.L = &s.mu
	return s
}

// deliver waits for the results of the inputs before.
func (s *stream) deliver(in *Input, result []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.await(in)
	_, err := s.w.Write(result)
	return err
}

func (s *stream) skip(in *Input) {
	s.mu.Lock()
	s.await(in)
	s.mu.Unlock()
}

// await waits for the input's turn, which it ends.
func (s *stream) await(in *Input) {
	for s.next != in.turn {
		s.turn.Wait()
	}
	s.next++
	s.turn.Broadcast()
}

// final reports whether an error of a sink will come again with every result.
func final(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EROFS) ||
		errors.Is(err, syscall.EPIPE)
}
