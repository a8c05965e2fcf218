package benchmarks

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// scarce is a listener that finds no room for a stream, now and then, and then breaks.
type scarce struct {
	net.Listener
	errs []error
}

func (s *scarce) Accept() (net.Conn, error) {
	err := s.errs[0]
	s.errs = s.errs[1:]
	return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", err)}
}

func (s *scarce) Close() error { return nil }

// A process that has no descriptor left for a stream serves the next one.
func TestHostWithoutDescriptors(t *testing.T) {
	t.Parallel()
	l := &scarce{errs: []error{syscall.EMFILE, syscall.ECONNABORTED, syscall.EMFILE, syscall.EBADF}}
	h := &host{listener: l, note: func(string) {}}
	err := h.serve(t.Context())
	require.True(t, errors.Is(err, syscall.EBADF), err)
	require.Empty(t, l.errs)
}
