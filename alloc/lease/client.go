package lease

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Held is a lease at its tenant.
type Held struct {
	ID     ID
	Secret Secret
	Terms  Terms
	// Expires is when the tenant stops using it, by the clock that the Client is given.
	Expires time.Duration
	// Noticed: no more calls are to begin.
	Noticed bool

	wanted  time.Duration // life
	life    time.Duration // what was granted last
	renewAt time.Duration
	sent    map[uint32]time.Duration // when renewals that were not answered were sent
}

// EventKind says what has happened.
type EventKind uint8

// The events.
const (
	WasGranted  EventKind = iota
	WasRefused            // Reason, Free, After, Text
	WasNeeded             // the package of Terms.Digest has to be sent; then ask again
	WasTaken              // a piece: Offset
	WasEnded              // Reason; the lease is not held any more
	WasNoticed            // Reason, After: the time left
	WasLost               // Worker, Number (the attempt), Process, Text
	WasDraining           // the node gives no more leases
)

// Event is what a Client tells its driver.
type Event struct {
	Kind    EventKind
	Number  uint32 // of the request; of the attempt
	Lease   *Held  // WasGranted, WasEnded, WasNoticed, WasLost
	Reason  Reason
	Worker  int
	Process int
	After   time.Duration
	Free    Capacity
	Digest  [32]byte
	Offset  int64
	Usage   [UsageWords]uint64 // WasEnded
	Claimed bool               // likewise
	Text    string
}

// Client is a tenant's side at one node, over any number of connections, one at a
// time. It is not safe for concurrent use. Messages and Events collect what a call has
// caused; the driver takes them after each.
type Client struct {
	number    uint32
	connected bool
	epoch     uint64
	asked     map[uint32]asked
	leases    map[ID]*Held
	returned  map[ID]*Held // whose end is not known yet
	messages  []Message
	events    []Event
}

type asked struct {
	sent  time.Duration
	life  time.Duration
	terms Terms
}

// NewClient makes a client that holds nothing.
func NewClient() *Client {
	return &Client{asked: map[uint32]asked{}, leases: map[ID]*Held{}, returned: map[ID]*Held{}}
}

// Messages takes what is to be sent, appended to buf.
func (c *Client) Messages(buf []Message) []Message {
	buf = append(buf, c.messages...)
	c.messages = c.messages[:0]
	return buf
}

// Events takes what has happened, appended to buf.
func (c *Client) Events(buf []Event) []Event {
	buf = append(buf, c.events...)
	clear(c.events)
	c.events = c.events[:0]
	return buf
}

// Connected notes a new connection, and the epoch of the node's greeting. Leases of an
// earlier life of the agent have ended.
func (c *Client) Connected(now time.Duration, epoch uint64) {
	c.connected, c.epoch = true, epoch
	for _, h := range c.Leases() {
		if h.ID.Epoch() != epoch {
			c.ended(h, AgentEnds, "the agent was restarted")
			continue
		}
		clear(h.sent)
		c.renew(now, h)
	}
}

// Disconnected notes the end of a connection. Requests have failed; leases live on, and
// cannot be renewed before there is another connection.
func (c *Client) Disconnected(why string) {
	c.connected = false
	clear(c.returned)
	for number := range c.asked {
		delete(c.asked, number)
		c.events = append(c.events, Event{Kind: WasRefused, Number: number, Reason: Unknown, Text: why})
	}
	c.messages = c.messages[:0]
}

// Leases are those that are held, by ID.
func (c *Client) Leases() []*Held {
	return slices.SortedFunc(maps.Values(c.leases), func(a, b *Held) int { return cmp.Compare(a.ID, b.ID) })
}

// Ask requests a lease. The event that ends the request has its number.
func (c *Client) Ask(now time.Duration, t Terms, life time.Duration) (number uint32) {
	c.number++
	c.asked[c.number] = asked{now, life, t}
	c.messages = append(c.messages, Message{Kind: Request, Number: c.number, Life: life, Terms: t})
	return c.number
}

// Waiting says whether the node owes an answer: to a request, or the end of a lease that was
// returned.
func (c *Client) Waiting() bool { return len(c.asked)+len(c.returned) > 0 }

// SendPiece offers a piece of a package to be read.
func (c *Client) SendPiece(m Message) {
	c.number++
	m.Kind, m.Number = Piece, c.number
	c.messages = append(c.messages, m)
}

// Return gives a lease back. It is not held any more. The event of its end follows, if
// the agent can be heard.
func (c *Client) Return(id ID) {
	if h := c.leases[id]; h != nil {
		delete(c.leases, id)
		if c.connected {
			c.returned[id] = h
			c.messages = append(c.messages, Message{Kind: Release, Lease: id, Secret: h.Secret})
		}
	}
}

// Receive takes a message. An error is the agent's fault: end the connection.
func (c *Client) Receive(now time.Duration, m *Message) error {
	h := c.leases[m.Lease]
	switch m.Kind {
	case Grant:
		a, ok := c.asked[m.Number]
		if !ok || m.Lease == 0 || h != nil {
			return fmt.Errorf("lease: a grant of lease %v that answers no request", m.Lease)
		}
		delete(c.asked, m.Number)
		h = &Held{ID: m.Lease, Secret: m.Secret, Terms: a.terms, Expires: a.sent + m.Life, wanted: a.life, life: m.Life, renewAt: a.sent + m.Life/3, sent: map[uint32]time.Duration{}}
		c.leases[h.ID] = h
		c.events = append(c.events, Event{Kind: WasGranted, Number: m.Number, Lease: h, After: m.Life})
	case Refusal, Need:
		a, ok := c.asked[m.Number]
		if !ok && m.Terms.Digest == (digest{}) {
			return fmt.Errorf("lease: a %v that answers no request", m.Kind)
		}
		delete(c.asked, m.Number)
		kind := WasRefused
		if m.Kind == Need {
			if m.Terms.Digest != a.terms.Digest {
				return fmt.Errorf("lease: code is asked for that was not named")
			}
			kind = WasNeeded
		}
		c.events = append(c.events, Event{Kind: kind, Number: m.Number, Reason: m.Reason, After: m.Life, Free: m.Free, Digest: m.Terms.Digest, Text: m.Text})
	case Taken:
		c.events = append(c.events, Event{Kind: WasTaken, Number: m.Number, Digest: m.Terms.Digest, Offset: m.Offset})
	case Renewed:
		if h == nil {
			return nil // it was given back, or ended, meanwhile
		}
		if sent, ok := h.sent[m.Number]; ok {
			for number, at := range h.sent {
				if at <= sent {
					delete(h.sent, number)
				}
			}
			h.life = m.Life
			h.Expires = max(h.Expires, sent+m.Life)
			h.renewAt = max(h.renewAt, sent+m.Life/3)
		}
	case Notice:
		if h != nil && !h.Noticed {
			h.Noticed = true
			h.Expires = min(h.Expires, now+m.Life)
			c.events = append(c.events, Event{Kind: WasNoticed, Lease: h, Reason: m.Reason, After: m.Life, Text: m.Text})
		}
	case Ended:
		if h == nil {
			h = c.returned[m.Lease]
		}
		if h == nil {
			return nil
		}
		delete(c.leases, h.ID)
		delete(c.returned, h.ID)
		c.events = append(c.events, Event{Kind: WasEnded, Lease: h, Reason: m.Reason, Text: m.Text, Usage: m.Usage, Claimed: m.Claimed})
	case Lost:
		if h != nil && m.Worker < h.Terms.Workers {
			c.events = append(c.events, Event{Kind: WasLost, Lease: h, Worker: m.Worker, Number: m.Number, Process: m.Process, Reason: m.Reason, Text: m.Text})
		}
	case Draining:
		c.events = append(c.events, Event{Kind: WasDraining, Text: m.Text})
	default:
		return fmt.Errorf("lease: an agent sent a message for agents: %v", m.Kind)
	}
	return nil
}

func (c *Client) ended(h *Held, why Reason, text string) {
	delete(c.leases, h.ID)
	c.events = append(c.events, Event{Kind: WasEnded, Lease: h, Reason: why, Text: text})
}

// renew asks for more life. If nothing answers, it does so again soon.
func (c *Client) renew(now time.Duration, h *Held) {
	if !c.connected || h.Noticed {
		h.renewAt = never
		return
	}
	c.number++
	h.sent[c.number] = now
	h.renewAt = now + max(h.life/6, minLife/6)
	c.messages = append(c.messages, Message{Kind: Renew, Number: c.number, Lease: h.ID, Secret: h.Secret, Life: h.wanted})
}

// Tick ends what has expired and renews what is to be renewed, and says when there is
// something next.
func (c *Client) Tick(now time.Duration) (next time.Duration) {
	next = never
	for _, h := range c.Leases() {
		if h.Expires <= now {
			c.ended(h, Expired, "")
			continue
		}
		if h.renewAt <= now {
			c.renew(now, h)
		}
		next = min(next, h.Expires, h.renewAt)
	}
	return next
}
