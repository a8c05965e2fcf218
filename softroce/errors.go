package softroce

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/rfaas-go/rfaas/transport"
)

// explain adds to a system error the operation and what usually helps.
func explain(what string, err error) error {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%s: %w: raise the limit of open files (ulimit -n)", what, err)
	case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("%s: %w: out of memory for sockets (net.core.*, net.ipv4.udp_mem)", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// explainLoss adds to the reason of a failure the kernel's error for packets that
// it did not send.
func (q *queuePair) explainLoss(reason error) error {
	var status *transport.StatusError
	if q.sendError == 0 || !errors.As(reason, &status) || status.Status != transport.StatusRetryExceeded {
		return reason
	}
	if q.sendError == unix.EMSGSIZE {
		return fmt.Errorf("%w; the kernel refused to send packets of this path MTU: %w; open the device with a smaller one (parameter mtu)", reason, q.sendError)
	}
	return fmt.Errorf("%w; the kernel refused to send: %w", reason, q.sendError)
}
