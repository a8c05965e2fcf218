package remote

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/rfaas-go/rfaas/transport"
)

// Memory is what a peer grants over one connection. Its methods may be called from
// anywhere, at the same time.
type Memory struct {
	cfg       Config
	conn      *transport.Conn
	queue     *transport.Queue
	region    *transport.Region
	ownDomain *transport.ProtectionDomain // nil if it is the program's

	buffers   []buffer
	free      chan *buffer // room for all
	abandoned sync.WaitGroup

	posting sync.Mutex
	// driving holds an element while a call polls the queue, into polled.
	driving chan struct{}
	polled  [32]transport.Completion

	calls   sync.RWMutex // held for reading by calls, for writing to end them
	closing sync.Once
	err     error // of Close
}

// Dial connects to a transport.Listener, as Device.Dial does.
func Dial(ctx context.Context, device *transport.Device, network, address string, cfg Config) (*Memory, error) {
	return New(device, cfg, func(cc transport.ConnConfig) (*transport.Conn, error) {
		return device.Dial(ctx, network, address, cc)
	})
}

// New makes a Memory of a connection that connect makes, by Device.Dial, Connect or
// Join, or by Request.Accept. connect is called once, with a configuration to which
// it may add PrivateData and Authorize. The Memory owns the connection; the program
// may inspect it, and close it.
func New(device *transport.Device, cfg Config, connect func(transport.ConnConfig) (*transport.Conn, error)) (*Memory, error) {
	cfg, err := cfg.withDefaults(device.Capabilities())
	if err != nil {
		return nil, fmt.Errorf("remote: %w", err)
	}
	m := &Memory{cfg: cfg, driving: make(chan struct{}, 1), free: make(chan *buffer, cfg.Buffers)}
	if err := m.open(device, connect); err != nil {
		m.release()
		return nil, fmt.Errorf("remote: %w", err)
	}
	return m, nil
}

func (m *Memory) open(device *transport.Device, connect func(transport.ConnConfig) (*transport.Conn, error)) (err error) {
	domain := m.cfg.Domain
	if domain == nil {
		if domain, err = device.NewProtectionDomain(); err != nil {
			return err
		}
		m.ownDomain = domain
	}
	if m.queue, err = device.NewQueue(m.cfg.Buffers + leastReceives); err != nil {
		return err
	}
	if err = m.makeBuffers(domain); err != nil {
		return err
	}
	m.conn, err = connect(transport.ConnConfig{
		Domain: domain, SendQueue: m.queue, RecvQueue: m.queue, SendDepth: m.cfg.Buffers, RecvDepth: leastReceives,
	})
	return err
}

// leastReceives is the smallest RecvDepth: nothing is received.
const leastReceives = 1

// Conn is the connection, for Peer, Done and Err.
func (m *Memory) Conn() *transport.Conn { return m.conn }

// Close ends the connection and all calls, which fail with ErrClosed, and releases
// the Memory's objects of the device. It returns when no call is in progress.
func (m *Memory) Close() error {
	m.closing.Do(func() {
		err := m.conn.Close() // outstanding requests are flushed; later calls see that it has ended
		m.calls.Lock()
		defer m.calls.Unlock()
		m.abandoned.Wait()
		m.err = errors.Join(err, m.release())
	})
	return m.err
}

// release undoes open, even in part.
func (m *Memory) release() error {
	var errs []error
	if m.queue != nil {
		errs = append(errs, m.queue.Close())
	}
	if m.region != nil {
		errs = append(errs, m.region.Close())
		m.region.Release()
	}
	if m.ownDomain != nil {
		errs = append(errs, m.ownDomain.Close())
	}
	return errors.Join(errs...)
}
