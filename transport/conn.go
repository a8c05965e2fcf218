package transport

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// ConnConfig describes a connection to be made.
type ConnConfig struct {
	Domain *ProtectionDomain
	// SendQueue and RecvQueue take the completions; they may be the same one.
	// They must have SendDepth and RecvDepth (unless Shared is set) unreserved.
	SendQueue, RecvQueue *Queue
	// Shared, if set, supplies the receives; RecvDepth is then not used.
	Shared *SharedReceive
	// SendDepth and RecvDepth bound the requests outstanding. Default 64 each.
	SendDepth, RecvDepth int
	// InlineBytes is the longest payload that will be posted with Inline.
	InlineBytes int
	// PrivateData is given to the peer during set-up: at most MaxPrivateData bytes.
	PrivateData []byte
	// Authorize, if set, is called during set-up, after the peer's private data
	// arrived and before anything is granted to it. An error refuses the
	// connection; its text is sent to the peer. Without it, a peer on a Unix
	// socket must run under the same user (or root), and any other is accepted.
	Authorize func(ctx context.Context, peer Peer) error
	// Notified, if set, is called with what the peer's Conn.Notify sends, one call at a
	// time, once the connection is set up. It must not block: the same goroutine
	// notices the peer's end. msg is valid during the call.
	Notified func(msg []byte)
}

// MaxPrivateData is the most private data, in bytes, that one end can give.
const MaxPrivateData = 4096

// errIncomplete is the error of a ConnConfig that lacks a required field.
var errIncomplete = fmt.Errorf("%w: ConnConfig needs Domain, SendQueue and RecvQueue", ErrInvalid)

// Defaults of ConnConfig.
const defaultDepth = 64

// Peer is what is known of the other end.
type Peer struct {
	Address     net.Addr     // of the set-up stream
	Provider    string       // the peer's Device.Name
	Wire        string       // the protocol of its queue pairs: Capabilities.Wire
	PrivateData []byte       // not to be modified
	Credentials *Credentials // on Unix sockets: vouched for by the kernel
}

// Conn is a reliable, ordered connection to one peer: in verbs, a queue pair of
// type RC. Make one with Device.Dial, Device.Connect, Request.Accept or Device.Join.
type Conn struct {
	dev         *Device
	pd          *ProtectionDomain
	qp          QP
	id          uint32
	sendOps     OpSet
	maxMessage  uint64
	inlineBytes uint32
	sendQueue   *Queue
	recvQueue   *Queue
	shared      *SharedReceive
	sendDepth   uint32
	recvDepth   uint32
	peer        Peer
	link        *link // nil after Join
	notified    func(msg []byte)

	_         [64]byte
	sending   Owner
	sendStage [stageLength]WorkRequest
	_         [64]byte
	receiving Owner
	recvStage [stageLength]WorkRequest
	_         [64]byte

	closing   sync.Once
	closed    atomic.Bool
	listening sync.WaitGroup // for listen
	drained   sync.Once
	failure   struct {
		sync.Once
		err  error
		done chan struct{}
	}
}

// newConn makes the queue pair and reserves what it needs. The connection is
// not tracked by the device before it is set up. Without a link it has no
// stream.
func (d *Device) newConn(cfg ConnConfig, l *link) (*Conn, error) {
	if err := d.checkConfig(&cfg); err != nil {
		return nil, err
	}
	c := &Conn{
		dev: d, pd: cfg.Domain, id: d.nextID.Add(1), link: l, notified: cfg.Notified,
		sendOps:     d.caps.Ops &^ Ops(OpInvalid, OpRecv, OpRecvImm),
		maxMessage:  d.caps.MaxMessageBytes,
		inlineBytes: uint32(cfg.InlineBytes),
		sendQueue:   cfg.SendQueue, recvQueue: cfg.RecvQueue, shared: cfg.Shared,
		sendDepth: uint32(cfg.SendDepth), recvDepth: uint32(cfg.RecvDepth),
	}
	c.failure.done = make(chan struct{})
	if c.shared != nil {
		c.recvDepth = 0
	}
	if err := c.reserve(); err != nil {
		return nil, err
	}
	qpc := QPConfig{
		PD: c.pd.pd, SendCQ: c.sendQueue.cq, RecvCQ: c.recvQueue.cq, Conn: c.id,
		SendDepth: c.sendDepth, RecvDepth: c.recvDepth, InlineBytes: c.inlineBytes,
		Owner: &c.sending, Control: noControl{}, Failed: c.fail, Drained: c.release,
	}
	if l != nil {
		qpc.Control = l
	}
	if c.shared != nil {
		qpc.SRQ = c.shared.srq
	}
	qp, err := d.adapter.NewQP(qpc)
	if err != nil {
		c.release()
		return nil, err
	}
	c.qp = qp
	return c, nil
}

func (d *Device) checkConfig(cfg *ConnConfig) error {
	if cfg.SendDepth == 0 {
		cfg.SendDepth = defaultDepth
	}
	if cfg.RecvDepth == 0 {
		cfg.RecvDepth = defaultDepth
	}
	limit := func(name string, value int, most uint32) error {
		if value < 0 || uint64(value) > uint64(most) {
			return fmt.Errorf("%w: %s is %d; this provider takes at most %d", ErrOutOfRange, name, value, most)
		}
		return nil
	}
	switch {
	case cfg.Domain == nil || cfg.SendQueue == nil || cfg.RecvQueue == nil:
		return errIncomplete
	case cfg.Domain.dev != d || cfg.SendQueue.dev != d || cfg.RecvQueue.dev != d:
		return fmt.Errorf("%w: Domain, SendQueue and RecvQueue must be made from the device that connects", ErrInvalid)
	case cfg.Shared != nil && (cfg.Shared.pd != cfg.Domain || cfg.Shared.queue != cfg.RecvQueue):
		return fmt.Errorf("%w: Shared must have the connection's Domain and RecvQueue", ErrInvalid)
	case len(cfg.PrivateData) > MaxPrivateData:
		return fmt.Errorf("%w: %d bytes of private data; at most %d", ErrOutOfRange, len(cfg.PrivateData), MaxPrivateData)
	}
	if err := limit("SendDepth", cfg.SendDepth, d.caps.MaxSendDepth); err != nil {
		return err
	}
	if err := limit("RecvDepth", cfg.RecvDepth, d.caps.MaxRecvDepth); err != nil {
		return err
	}
	return limit("InlineBytes", cfg.InlineBytes, d.caps.MaxInlineBytes)
}

// ID identifies the connection in completions: Completion.Conn. It is unique
// within the device.
func (c *Conn) ID() uint32 { return c.id }

// Peer is what is known of the other end.
func (c *Conn) Peer() Peer { return c.peer }

// Device is the device of the connection.
func (c *Conn) Device() *Device { return c.dev }

// InlineBytes is the longest payload that can be posted with Inline.
func (c *Conn) InlineBytes() int { return int(c.inlineBytes) }

// Done is closed when the connection failed or was closed, by either side, even
// without posts or polls.
func (c *Conn) Done() <-chan struct{} { return c.failure.done }

// Err is why the connection ended: ErrClosed after Close, ErrPeerClosed,
// ErrPeerGone, or another error. It is nil while Done is open.
func (c *Conn) Err() error {
	select {
	case <-c.failure.done:
		return c.failure.err
	default:
		return nil
	}
}

// fail records why the connection ended, unless a reason is recorded already.
func (c *Conn) fail(err error) {
	c.failure.Do(func() {
		c.failure.err = c.dev.opError(fmt.Sprintf("connection %d to %s", c.id, c.peer), ScopeConnection, err)
		close(c.failure.done)
	})
}

// Close ends the connection. The peer is notified, and sees what was completed
// here before. What is outstanding completes as flushed and can still be
// polled. Close may be called from anywhere and more than once.
func (c *Conn) Close() (err error) {
	c.closing.Do(func() {
		c.closed.Store(true)
		c.fail(ErrClosed)
		c.sending.Retire()
		c.receiving.Retire()
		err = c.qp.Close()
		if c.link != nil {
			c.link.close()
			c.listening.Wait()
		}
		c.dev.untrack(c)
	})
	return err
}

// reserve sets completions of its queues aside for the connection.
func (c *Conn) reserve() error {
	if err := c.sendQueue.reserve(c.sendDepth); err != nil {
		return err
	}
	err := c.recvQueue.reserve(c.recvDepth)
	if err == nil && c.shared != nil {
		if err = c.shared.hold(); err != nil {
			c.recvQueue.unreserve(c.recvDepth)
		}
	}
	if err != nil {
		c.sendQueue.unreserve(c.sendDepth)
	}
	return err
}

// release undoes reserve.
func (c *Conn) release() {
	c.drained.Do(func() {
		c.sendQueue.unreserve(c.sendDepth)
		c.recvQueue.unreserve(c.recvDepth)
		if c.shared != nil {
			c.shared.release()
		}
	})
}

func (c *Conn) describe() string { return fmt.Sprintf("connection %d to %s", c.id, c.peer) }
func (c *Conn) closeRank() int   { return rankConn }

// String names the peer for errors and logs.
func (p Peer) String() string {
	s := "peer"
	if p.Credentials != nil {
		s = fmt.Sprintf("process %d", p.Credentials.PID)
	}
	if p.Address != nil && p.Address.String() != "" && p.Address.String() != "@" {
		s += " at " + p.Address.String()
	}
	return s
}
