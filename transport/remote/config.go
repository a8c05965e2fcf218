package remote

import (
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// Config sizes the buffers and says how calls wait. Zero fields have defaults.
type Config struct {
	// Domain is the protection domain of the connection: for programs that grant the
	// peer memory of their own. The default is a new one with nothing in it.
	Domain *transport.ProtectionDomain
	// Buffers is how many requests may be outstanding. A call that finds none
	// free waits. Default 16.
	Buffers int
	// BufferBytes is the size of each: what is longer goes in pieces. It is rounded down
	// to a multiple of 8. Default 64 KiB, or what the device moves in one request if that
	// is less.
	BufferBytes int
	// Spin is how long a call polls before it sleeps, as for transport.Queue.Wait:
	// transport.Warm, the default, sleeps at once, transport.Hot never.
	Spin time.Duration
}

const (
	defaultBuffers     = 16
	defaultBufferBytes = 64 << 10
	wordBytes          = 8
)

// withDefaults fills in what was left out, and refuses what makes no sense.
func (c Config) withDefaults(caps transport.Capabilities) (Config, error) {
	if c.Buffers == 0 {
		c.Buffers = defaultBuffers
	}
	if c.BufferBytes == 0 {
		c.BufferBytes = int(min(defaultBufferBytes, caps.MaxMessageBytes))
	}
	switch {
	case c.Buffers < 0 || uint64(c.Buffers) > uint64(caps.MaxSendDepth):
		return c, fmt.Errorf("%w: Buffers is %d; this device takes 1 to %d", transport.ErrOutOfRange, c.Buffers, caps.MaxSendDepth)
	case c.BufferBytes < wordBytes || uint64(c.BufferBytes) > caps.MaxMessageBytes:
		return c, fmt.Errorf("%w: BufferBytes is %d; this device takes %d to %d", transport.ErrOutOfRange, c.BufferBytes, wordBytes, caps.MaxMessageBytes)
	case c.Spin < 0:
		return c, fmt.Errorf("%w: Spin is %v", transport.ErrInvalid, c.Spin)
	}
	// Pieces of what begins on a multiple of eight end on one: no word is in two.
	c.BufferBytes -= c.BufferBytes % wordBytes
	return c, nil
}
