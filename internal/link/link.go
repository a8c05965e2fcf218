// Package link carries the messages of leases over a connection of a transport: what
// agents and their clients have in common.
package link

import (
	"errors"
	"fmt"
	"sync"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/transport"
)

const (
	// Depth is how many messages are under way each way.
	Depth = 8
	// Completions is how much room of a queue a link needs.
	Completions = 2*Depth + 1
	// maxBacklog is how many messages wait for a peer that does not take any.
	maxBacklog = 256
)

// What the id of a work request says: its kind, and the buffer.
const (
	receiving = iota << 8
	sending
	reading
)

// Link is one end. Any goroutine may call Send and Read; the rest is for the one that polls
// the queue.
type Link struct {
	Conn *transport.Conn

	region *transport.Region // buffers of what is received, then of what is sent
	read   chan error

	mu      sync.Mutex
	free    []int // buffers for sending
	backlog []lease.Message
	closed  bool
}

// ErrBehind means that the peer does not take what it is sent.
var ErrBehind = errors.New("the peer does not take messages")

// Config is what a connection needs for a link.
func Config(domain *transport.ProtectionDomain, queue *transport.Queue) transport.ConnConfig {
	return transport.ConnConfig{Domain: domain, SendQueue: queue, RecvQueue: queue, SendDepth: Depth + 1, RecvDepth: Depth}
}

// New makes a link of a connection that was made with Config. Start has to follow. The
// connection remains the caller's if it fails.
func New(conn *transport.Conn, domain *transport.ProtectionDomain) (*Link, error) {
	region, err := domain.Alloc(2*Depth*lease.MessageBytes, transport.LocalOnly)
	if err != nil {
		return nil, err
	}
	l := &Link{Conn: conn, region: region, read: make(chan error, 1)}
	for i := range Depth {
		l.free = append(l.free, Depth+i)
	}
	return l, nil
}

// Start lets messages come; their completions may be polled at once.
func (l *Link) Start() error {
	var all [Depth]transport.WorkRequest
	for i := range all {
		all[i] = transport.Recv(receiving|uint64(i), l.span(i))
	}
	_, err := l.Conn.PostRecv(all[:]...)
	return err
}

func (l *Link) span(buffer int) transport.Span {
	return l.region.Span(buffer*lease.MessageBytes, lease.MessageBytes)
}

func (l *Link) bytes(buffer int) []byte {
	return l.region.Bytes()[buffer*lease.MessageBytes:][:lease.MessageBytes]
}

// Send sends a message, now or when those before it are gone. It never blocks. After an
// error the link is of no use.
func (l *Link) Send(m *lease.Message) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return transport.ErrClosed
	case len(l.free) > 0 && len(l.backlog) == 0:
		return l.post(m)
	case len(l.backlog) == maxBacklog:
		return ErrBehind
	}
	l.backlog = append(l.backlog, *m)
	return nil
}

// post takes a free buffer. l.mu is held.
func (l *Link) post(m *lease.Message) error {
	buffer := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	m.Encode(l.bytes(buffer))
	_, err := l.Conn.Post(transport.Send(sending|uint64(buffer), l.span(buffer)).With(transport.Signaled | transport.Solicited))
	return err
}

// Completed takes a completion of the connection. got says that m was received.
func (l *Link) Completed(c *transport.Completion, m *lease.Message) (got bool, err error) {
	if c.ID&^0xff == reading {
		l.read <- c.Err()
		return false, nil
	}
	if err := c.Err(); err != nil {
		return false, err
	}
	buffer := int(c.ID & 0xff)
	if c.ID&^0xff == sending {
		return false, l.sent(buffer)
	}
	if c.Bytes != lease.MessageBytes {
		return false, fmt.Errorf("a message of %d bytes", c.Bytes)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false, transport.ErrClosed
	}
	if err := m.Decode(l.bytes(buffer)); err != nil {
		return false, err
	}
	_, err = l.Conn.PostRecv(transport.Recv(receiving|uint64(buffer), l.span(buffer)))
	return err == nil, err
}

// sent gives a buffer back, and sends what waits.
func (l *Link) sent(buffer int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return transport.ErrClosed
	}
	l.free = append(l.free, buffer)
	if len(l.backlog) == 0 {
		return nil
	}
	m := l.backlog[0]
	l.backlog = l.backlog[1:]
	return l.post(&m)
}

// Idle says that all that was sent has arrived.
func (l *Link) Idle() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed || len(l.free) == Depth
}

// Read reads memory of the peer's. It waits for the completion, which another
// goroutine has to poll. One goroutine at a time may call it.
func (l *Link) Read(local transport.Span, remote transport.RemoteSpan) error {
	l.mu.Lock()
	err := error(transport.ErrClosed)
	if !l.closed {
		_, err = l.Conn.Post(transport.Read(reading, local, remote).With(transport.Signaled))
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-l.read:
		return err
	case <-l.Conn.Done():
		return l.Conn.Err()
	}
}

// Close closes the connection and frees the memory.
func (l *Link) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	return errors.Join(l.Conn.Close(), l.region.Close())
}
