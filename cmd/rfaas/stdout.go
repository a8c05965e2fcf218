package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/rfaas-go/rfaas/cmd/rfaas/internal/atomicfile"
)

// standardOutput remembers that something could not be written to it, as many writers do not
// look at errors. Any goroutine may write.
type standardOutput struct {
	file *os.File

	mu     sync.Mutex
	failed error // the first one
}

// Write implements io.Writer.
func (s *standardOutput) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	if err == nil {
		return n, nil
	}
	err = fmt.Errorf("writing the output: %w", atomicfile.WithoutPath(err))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = err
	}
	return n, err
}

// err is why not everything was written, nil if it was.
func (s *standardOutput) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

func isTerminal(w io.Writer) bool {
	if s, ok := w.(*standardOutput); ok {
		w = s.file
	}
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
