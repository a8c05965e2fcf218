package softroce

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// explain adds to an error of the system what it was about and what usually
// helps.
func explain(what string, err error) error {
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return fmt.Errorf("%s: %w: raise the limit of open files (ulimit -n)", what, err)
	case errors.Is(err, unix.ENOBUFS), errors.Is(err, unix.ENOMEM):
		return fmt.Errorf("%s: %w: out of memory for sockets (net.core.*, net.ipv4.udp_mem)", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// explainLoss adds to the reason of a failure what the kernel said of packets that
// it did not even send.
func (e *engine) explainLoss(reason error) error {
	s := e.sendError
	switch {
	case s == 0:
		return reason
	case s == unix.EMSGSIZE:
		return fmt.Errorf("%w; the kernel refused to send packets of this path MTU: %w; open the device with a smaller one (parameter mtu)", reason, s)
	}
	return fmt.Errorf("%w; the kernel refused to send: %w", reason, s)
}
