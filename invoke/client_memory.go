package invoke

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/internal/pages"
	"github.com/rfaas-go/rfaas/transport"
)

// Memory is registered memory of a program, for inputs and results of calls through all
// clients of one device: see ClientConfig.Memory. An input that lies there and is longer than
// a slot is read by the worker from where it is, and such a result goes straight to where the
// caller wants it. What fits into a slot is copied, which is faster.
//
// A worker can read all that one Alloc returned as soon as a long input or result of a call to
// it was a part of that, until Free or the end of the client; none can write it. Any goroutine
// may call the methods.
type Memory struct {
	domain *transport.ProtectionDomain
	access transport.Access // of workers

	mu     sync.RWMutex
	blocks []*memoryBlock // by address
}

// memoryBlock is what one Alloc returned.
type memoryBlock struct {
	region *transport.Region
	at     uint64
	shares map[*Client]*transport.Region // its memory, in the clients' domains
}

// NewMemory makes a Memory without any. It is closed before the device.
func NewMemory(dev *transport.Device) (*Memory, error) {
	domain, err := dev.NewProtectionDomain()
	if err != nil {
		return nil, fmt.Errorf("invoke: new memory: %w", err)
	}
	m := &Memory{domain: domain}
	if dev.Capabilities().Ops.Has(transport.OpRead) {
		m.access = transport.RemoteRead
	}
	return m, nil
}

// Device is what clients that use the memory have to be of.
func (m *Memory) Device() *transport.Device { return m.domain.Device() }

// Alloc returns n bytes, zeroed and page-aligned, outside the Go heap. They are the
// caller's until Free.
func (m *Memory) Alloc(n int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	region, err := m.domain.Alloc(n, transport.LocalOnly)
	if err != nil {
		return nil, fmt.Errorf("invoke: %w", err)
	}
	b := &memoryBlock{region: region, at: pages.Address(region.Bytes()), shares: map[*Client]*transport.Region{}}
	i, _ := slices.BinarySearchFunc(m.blocks, b.at, byAddress)
	m.blocks = slices.Insert(m.blocks, i, b)
	return region.Bytes(), nil
}

func byAddress(b *memoryBlock, at uint64) int {
	switch {
	case b.at < at:
		return -1
	case b.at > at:
		return 1
	}
	return 0
}

// Free frees what Alloc returned. No call may be using it: one that was given up and is not
// answered can fail, and take the connection to its worker along.
func (m *Memory) Free(mem []byte) error {
	m.mu.Lock()
	i, found := slices.BinarySearchFunc(m.blocks, pages.Address(mem), byAddress)
	if !found || m.blocks[i].region.Len() != len(mem) {
		m.mu.Unlock()
		return fmt.Errorf("invoke: %d bytes at %#x are not what Alloc returned, or were freed before", len(mem), pages.Address(mem))
	}
	b := m.blocks[i]
	m.blocks = slices.Delete(m.blocks, i, i+1)
	m.mu.Unlock()
	return b.region.Close()
}

// Close frees all that is left.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.blocks = nil
	m.mu.Unlock()
	return m.domain.Close()
}

// find is the block with all of mem, or nil, and where mem begins there. m is locked.
func (m *Memory) find(mem []byte) (*memoryBlock, int) {
	at := pages.Address(mem)
	i, found := slices.BinarySearchFunc(m.blocks, at, byAddress)
	if !found {
		i--
	}
	if i < 0 || len(mem) == 0 {
		return nil, 0
	}
	b := m.blocks[i]
	off := at - b.at
	if size := uint64(b.region.Len()); off > size || uint64(len(mem)) > size-off {
		return nil, 0
	}
	return b, int(off)
}

// within is the region of a client's domain that mem lies in, and where it begins there; nil if it
// is not of this memory.
func (m *Memory) within(c *Client, mem []byte) (*transport.Region, int, error) {
	if m == nil {
		return nil, 0, nil
	}
	m.mu.RLock()
	b, off := m.find(mem)
	var region *transport.Region
	if b != nil {
		region = b.shares[c]
	}
	m.mu.RUnlock()
	if b == nil || region != nil {
		return region, off, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if b, off = m.find(mem); b == nil {
		return nil, 0, nil
	}
	region, err := c.domain.Share(b.region, m.access)
	if errors.Is(err, transport.ErrNotSupported) {
		return nil, 0, nil // so it is copied
	}
	if err != nil {
		return nil, 0, err
	}
	b.shares[c] = region
	return region, off, nil
}

// forget forgets a client, whose domain is closed.
func (m *Memory) forget(c *Client) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.blocks {
		delete(b.shares, c)
	}
}

// fetch reads a result that the worker offers into the caller's memory. It does not end before
// the transfer has, since the memory is the caller's afterwards.
func (c *Client) fetch(s *clientSlot, n int) error {
	b := s.buffer
	from := decodeReply(b.reply).source
	into := b.into
	from.Len = uint32(n)
	err := c.transfer(into.Slice(0, n), from)
	if err == nil {
		return c.finished(s)
	}
	c.fail(err)
	c.conn.Close()
	return c.gone(StartedYes)
}

// transfer reads, in parts as the worker moves them.
func (c *Client) transfer(into transport.Span, from transport.RemoteSpan) error {
	total := int(from.Len)
	for posted, flying := 0, 0; posted < total || flying > 0; {
		for posted < total && flying < partsInFlight {
			n := min(total-posted, partBytes)
			part := from
			part.Addr += uint64(posted)
			part.Len = uint32(n)
			c.single[0] = transport.Read(fetchID, into.Slice(posted, n), part).With(transport.Signaled)
			_, err := c.conn.Post(c.single[:]...)
			if errors.Is(err, transport.ErrQueueFull) {
				break
			}
			if err != nil {
				return err
			}
			posted += n
			flying++
		}
		n, err := c.sendQueue.Wait(context.Background(), c.completions[:], max(c.spin, fetchSpin))
		if err == nil {
			err = firstFailure(c.completions[:n])
		}
		if err != nil {
			return err
		}
		for i := range c.completions[:n] {
			if c.completions[i].ID == fetchID {
				flying--
			}
		}
	}
	return nil
}

const (
	// fetchID is the id of reads, which no slot has.
	fetchID = maxSlots + 1
	// fetchSpin is how long a read is polled for at least: it is under way, and to sleep takes longer than
	// most do.
	fetchSpin = 50 * time.Microsecond
)

// isOffered reports whether the worker keeps the result of a call that was answered.
func (c *Client) isOffered(s *clientSlot) bool {
	b := s.buffer
	return b != nil && b.target != nil && !s.gone && s.status == StatusOK && s.bytes == 0 && int(decodeReply(b.reply).bytes) > c.layout.slotBytes
}

// finished tells the worker that the result it has offered is not needed any more. It waits for
// room in the send queue.
func (c *Client) finished(s *clientSlot) error {
	err := c.tryFinished(s)
	for errors.Is(err, transport.ErrQueueFull) {
		var acks int
		if acks, err = c.sendQueue.Wait(context.Background(), c.completions[:], c.spin); err == nil {
			err = firstFailure(c.completions[:acks])
		}
		if err == nil {
			err = c.tryFinished(s)
		}
	}
	return err
}

// tryFinished is finished that does not wait.
func (c *Client) tryFinished(s *clientSlot) error {
	c.single[0] = transport.WriteImm(maxSlots, transport.Span{}, s.worker, requestImm(s.index, kindCancel, cancelTag(s.id)))
	c.setFlags(&c.single[0])
	_, err := c.conn.Post(c.single[:]...)
	return err
}
