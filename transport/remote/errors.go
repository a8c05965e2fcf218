package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// failure is the error that a call returns: what, where and why.
func (m *Memory) failure(op transport.Op, n int, at transport.RemoteSpan, err error) error {
	return fmt.Errorf("remote: %v of %d bytes at %#x: %w", op, n, at.Addr, err)
}

// refused is why a posted request failed: its own status, or, if it was flushed, why
// the connection ended.
func (m *Memory) refused(ctx context.Context, c *transport.Completion) error {
	if c.Status == transport.StatusFlushed {
		select {
		case <-m.conn.Done():
			return m.conn.Err()
		case <-ctx.Done():
		}
	}
	return c.Err()
}

// reason is why a request could not be posted, or waited for: if something was closed,
// the connection says more.
func (m *Memory) reason(err error) error {
	if errors.Is(err, transport.ErrClosed) {
		if why := m.conn.Err(); why != nil {
			return why
		}
	}
	return err
}
