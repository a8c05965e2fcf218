package command

import (
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// bell interrupts a poll.
type bell struct {
	mu sync.Mutex // held against a ring of what is closed
	fd int        // an eventfd; -1 if closed
}

func newBell() (*bell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("command: eventfd: %w", err)
	}
	return &bell{fd: fd}, nil
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		_, _ = unix.Write(b.fd, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails only if it rings
	}
}

// silence ends the ringing.
func (b *bell) silence() {
	var count [8]byte
	_, _ = unix.Read(b.fd, count[:])
}

func (b *bell) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	shut(&b.fd)
}
