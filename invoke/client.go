package invoke

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/transport"
)

// ClientConfig describes a client. The zero value will do.
type ClientConfig struct {
	// Slots is how many calls can be in flight at once: 16 if 0. SlotBytes is the
	// longest input and the longest result that travel in a slot, 64 KiB if 0;
	// what is longer takes one more round trip. The worker may grant less of
	// either; ask Client.Slots and Client.SlotBytes. Both ends set aside two times
	// Slots x (SlotBytes + 64) bytes, of which only what is used costs memory.
	Slots, SlotBytes int
	// SpareBytes is how much registered memory of Buffers that were closed, and of
	// calls beyond SlotBytes, is kept for those to come: 1 GiB if 0, none if
	// negative. Memory that is unused for 5 s is freed.
	SpareBytes int64
	// Memory, if set, is where inputs and results can be that are not to be copied. It is of
	// the same device, and closed after the client.
	Memory *Memory
	// Mode is how the client waits for replies.
	Mode Mode
	// Name is what errors and logs call the worker; as its peer if empty.
	Name string
	// Token is handed to the worker's Authorize hook: at most MaxTokenBytes.
	Token []byte
	// Authorize, if set, is asked whether the worker is the right one: see
	// transport.ConnConfig.
	Authorize func(ctx context.Context, worker transport.Peer) error

	firstID    *uint64       // of the first call, for tests; random if nil
	memoryIdle time.Duration // for tests; 5 s if 0
}

const defaultSpareBytes = 1 << 30

// Client calls the functions of one worker over one connection. One goroutine
// at a time may use it, its Buffers and its Futures; a second one gets
// ErrConcurrentUse and does no harm. Close, Done, Err, Slots, SlotBytes,
// RendezvousBytes, Draining and Worker may be called from anywhere.
type Client struct {
	dev             *transport.Device
	domain          *transport.ProtectionDomain
	conn            *transport.Conn
	layout          layout
	rendezvousBytes int         // bytes that the input and the result of a call beyond the slots may have together
	memory          *memoryPool // of Buffers and of calls beyond the slots
	program         *Memory     // the program's own, or nil
	worker          string      // for errors
	spin            time.Duration
	closing         atomic.Bool

	draining     chan struct{} // closed when the worker has said that it drains
	drainingOnce sync.Once

	// Slots are staged in requests and answered into replies.
	requests, replies *transport.Region
	// Replies complete into replyQueue, which is what waits poll. Completions of
	// sends only free entries of the send queue: sendQueue is polled when some were
	// used.
	replyQueue, sendQueue *transport.Queue

	_           [64]byte // what follows belongs to owner
	owner       transport.Owner
	slots       []clientSlot
	free        []uint32 // credits: slots without a call, the last used on top
	abandoned   int      // slots whose call was abandoned and is unanswered
	news        bool     // since Await or Poll said so last, calls were answered
	failed      error    // why the connection ended, once that was noticed
	staged      [clientBatch]transport.WorkRequest
	length      int                     // of staged
	receives    []transport.WorkRequest // as many as are reposted at once
	answered    int                     // receives used and not reposted
	sent        int                     // sends since the last signaled one
	signalEvery int
	owed        bool // there are completions of sends to be looked for
	inlineBytes int
	collected   *[headerBytes]byte // header of the last reply that was handed out
	copied      [headerBytes]byte  // of it, if its memory can be freed
	completions [clientBatch]transport.Completion
	single      [1]transport.WorkRequest
}

// clientBatch is how many requests a client posts, and how many completions it
// takes from a queue, at once.
const clientBatch = 32

// clientSlot holds one call; while it is free it is a credit.
type clientSlot struct {
	id       uint64 // of the slot's last call
	deadline int64  // of that call, by now(); 0 for none
	handle   *Handle
	buffer   *Buffer // of the call, nil for the slot's own memory
	state    slotState
	status   Status
	gone     bool   // the connection ended before the reply
	attached bool   // the header tells of metadata
	owed     bool   // the worker is to be told that a result it may offer is not needed
	bytes    uint32 // of the reply's payload
	room     uint32 // for it
	index    uint32
	header   *[headerBytes]byte
	input    []byte
	local    transport.Span       // header and input
	worker   transport.RemoteSpan // the slot at the worker
	reply    *[headerBytes]byte
	result   []byte
	returned transport.RemoteSpan // where the reply goes if the call has no buffer
}

type slotState uint8

const (
	slotFree      slotState = iota
	slotInFlight            // sent, unanswered
	slotFinished            // answered, or never to be answered; not collected
	slotAbandoned           // sent, unanswered and given up: quarantined
)

func (s *clientSlot) unanswered() bool { return s.state == slotInFlight || s.state == slotAbandoned }

// Dial connects to a worker that serves a transport.Listener at this network
// and address. The context bounds the set-up only. A worker that refuses says
// why: the error is an *Error with StatusBusy, StatusRevoked or
// StatusVersionMismatch, or wraps transport.ErrRejected.
func Dial(ctx context.Context, dev *transport.Device, network, address string, cfg ClientConfig) (*Client, error) {
	return newClient(dev, cfg, func(cc transport.ConnConfig) (*transport.Conn, error) {
		return dev.Dial(ctx, network, address, cc)
	})
}

// Connect is Dial over a stream that exists. The stream belongs to the client
// from then on, also when Connect fails.
func Connect(ctx context.Context, dev *transport.Device, stream net.Conn, cfg ClientConfig) (*Client, error) {
	connecting := false
	c, err := newClient(dev, cfg, func(cc transport.ConnConfig) (*transport.Conn, error) {
		connecting = true
		return dev.Connect(ctx, stream, cc)
	})
	if !connecting {
		stream.Close()
	}
	return c, err
}

func newClient(dev *transport.Device, cfg ClientConfig, connect func(transport.ConnConfig) (*transport.Conn, error)) (*Client, error) {
	wish, err := layout{cfg.Slots, cfg.SlotBytes}.withDefaults(dev.Capabilities())
	if err != nil {
		return nil, err
	}
	if len(cfg.Token) > MaxTokenBytes {
		return nil, fmt.Errorf("invoke: a token of %d bytes; at most %d", len(cfg.Token), MaxTokenBytes)
	}
	if cfg.Memory != nil && cfg.Memory.Device() != dev {
		return nil, errors.New("invoke: ClientConfig.Memory is of another device")
	}
	c := &Client{dev: dev, program: cfg.Memory, spin: cfg.Mode.Spin(), draining: make(chan struct{})}
	if err := c.connect(wish, cfg, connect); err != nil {
		c.Close()
		return nil, refused(err)
	}
	return c, nil
}

func (c *Client) connect(wish layout, cfg ClientConfig, connect func(transport.ConnConfig) (*transport.Conn, error)) (err error) {
	if c.domain, err = c.dev.NewProtectionDomain(); err != nil {
		return err
	}
	// Held, because the device may be closed while a call uses them.
	if c.replies, err = allocHeld(c.domain, wish.bytes(), transport.RemoteWrite); err != nil {
		return err
	}
	if c.requests, err = allocHeld(c.domain, wish.bytes(), transport.LocalOnly); err != nil {
		return err
	}
	c.memory = newClientMemory(c.domain, cfg)
	depth := wish.depth()
	if c.replyQueue, err = c.dev.NewQueue(depth); err != nil {
		return err
	}
	if c.sendQueue, err = c.dev.NewQueue(depth + partsInFlight); err != nil {
		return err
	}
	mine := hello{version: Version, layout: wish, firstID: firstID(cfg), token: cfg.Token}
	mine.region = wish.remote(c.replies.Remote(0, headerBytes), 0)
	c.inlineBytes = int(min(c.dev.Capabilities().MaxInlineBytes, mostInlineBytes))
	var theirs hello
	c.conn, err = connect(transport.ConnConfig{
		Domain: c.domain, SendQueue: c.sendQueue, RecvQueue: c.replyQueue,
		SendDepth: depth + partsInFlight, RecvDepth: depth, InlineBytes: c.inlineBytes,
		PrivateData: mine.encode(),
		Authorize:   cfg.Authorize, Notified: c.notified,
	})
	if err != nil {
		return err
	}
	if c.worker = cfg.Name; c.worker == "" {
		c.worker = c.conn.Peer().String()
	}
	if theirs, err = decodeHello(c.conn.Peer().PrivateData); err != nil {
		return err
	}
	if theirs.layout.slots > wish.slots || theirs.layout.slotBytes > wish.slotBytes {
		return fmt.Errorf("the worker grants %d slots of %d bytes, more than the %d of %d that were asked for",
			theirs.layout.slots, theirs.layout.slotBytes, wish.slots, wish.slotBytes)
	}
	c.layout = theirs.layout
	c.rendezvousBytes = int(min(theirs.rendezvousBytes, 2*MaxPayloadBytes))
	c.arrange(wish, theirs.region, mine.firstID)
	c.answered = depth
	return c.repost()
}

// mostInlineBytes is the longest message, header included, that is posted
// inline: beyond it devices are faster fetching it themselves.
const mostInlineBytes = 256

func firstID(cfg ClientConfig) uint64 {
	if cfg.firstID != nil {
		return *cfg.firstID
	}
	var b [8]byte
	rand.Read(b[:])
	return uint64(binary.LittleEndian.Uint32(b[:]))
}

// arrange lays out the slots. Own regions are laid out by what was asked for,
// the worker's by what it granted.
func (c *Client) arrange(wish layout, workerSlots transport.RemoteSpan, firstID uint64) {
	c.slots = make([]clientSlot, c.layout.slots)
	own := layout{slots: wish.slots, slotBytes: wish.slotBytes}
	for i := range c.slots {
		s := &c.slots[i]
		s.index = uint32(i)
		s.id = firstID + uint64(i) - uint64(c.layout.slots) // before the first
		s.header, s.input = own.at(c.requests.Bytes(), i)
		s.reply, s.result = own.at(c.replies.Bytes(), i)
		s.local = own.span(c.requests, i)
		s.worker = c.layout.remote(workerSlots, i)
		s.returned = own.remote(c.replies.Remote(0, headerBytes), i)
		s.returned.Len = uint32(headerBytes + c.layout.slotBytes)
		s.input, s.result = s.input[:c.layout.slotBytes], s.result[:c.layout.slotBytes]
	}
	for i := range c.slots {
		c.free = append(c.free, uint32(len(c.slots)-1-i))
	}
	c.signalEvery = wish.signalEvery()
	c.receives = receives(wish.restock(), 0)
}

// Slots is how many calls can be in flight at once.
func (c *Client) Slots() int { return c.layout.slots }

// SlotBytes is the longest input and the longest result that travel in a slot.
func (c *Client) SlotBytes() int { return c.layout.slotBytes }

// RendezvousBytes is how long the input and the result of a call beyond the slots may
// be together: what the worker takes. 0 means that it takes no such calls.
func (c *Client) RendezvousBytes() int { return c.rendezvousBytes }

// Worker names the worker, for logs.
func (c *Client) Worker() string { return c.worker }

// Done is closed when the connection to the worker ended.
func (c *Client) Done() <-chan struct{} { return c.conn.Done() }

// Draining is closed when the worker says that it takes no more calls: Worker.Drain,
// Worker.Shutdown. Calls that are sent later are answered with StatusRevoked. A program
// that has collected its last answer should close the client.
func (c *Client) Draining() <-chan struct{} { return c.draining }

// notified takes a notice of the worker.
func (c *Client) notified(msg []byte) {
	if len(msg) == 1 && msg[0] == noticeDrain {
		c.drainingOnce.Do(func() { close(c.draining) })
	}
}

// Err says why the connection ended, nil while it has not.
func (c *Client) Err() error { return c.conn.Err() }

// Close ends the connection and frees the slots and the Buffers, whose memory
// must not be touched any more. Calls in flight, and all later ones, fail with
// ErrClosed, which is an ErrWorkerGone, too. When the device was closed, from
// wherever, the client is still to be closed: its memory waits for that, because
// calls and the program may have been using it.
func (c *Client) Close() error {
	if !c.closing.CompareAndSwap(false, true) {
		return nil
	}
	var errs []error
	if c.conn != nil {
		errs = append(errs, c.conn.Close())
	}
	c.owner.Retire() // a wait under way ends: what it waits for was flushed
	for _, q := range []*transport.Queue{c.replyQueue, c.sendQueue} {
		if q != nil {
			errs = append(errs, q.Close())
		}
	}
	if c.memory != nil {
		c.memory.close()
	}
	if c.domain != nil {
		errs = append(errs, c.domain.Close())
	}
	c.program.forget(c)
	for _, r := range []*transport.Region{c.replies, c.requests} {
		if r != nil {
			r.Release()
		}
	}
	return errors.Join(errs...)
}
