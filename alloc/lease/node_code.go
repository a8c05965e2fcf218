package lease

import (
	"fmt"
	"time"
)

// code is what a node knows of a package.
type code struct {
	state  codeState
	sender Session       // codeSending
	taken  int64         // codeSending: bytes that have arrived
	total  int64         // codeSending: bytes in all; 0: not known yet
	busy   bool          // codeSending: a piece is being read
	until  time.Duration // when it is forgotten
	text   string        // codeRefused
}

type codeState uint8

const (
	codeLooking codeState = iota
	codeMissing
	codeSending
	codeThere
	codeRefused
)

const (
	// codeIdle is how long the sender of a package may be silent.
	codeIdle = 10 * time.Second
	// codeMemory is how long a refusal is remembered, and that a package is missing.
	codeMemory = 5 * time.Second
	// maxCodes bounds how many packages are known at once.
	maxCodes = 1024
	// How soon to ask again.
	soonFound, soonSent = 2 * time.Millisecond, 20 * time.Millisecond
)

// haveCode says whether a request's code is there. If not, it has answered.
func (n *Node) haveCode(now time.Duration, s Session, m *Message) bool {
	d := m.Terms.Digest
	if d == (digest{}) {
		return true
	}
	n.codesDue(now)
	answer := func(k Kind, r Reason, after time.Duration, text string) {
		n.send(s, Message{Kind: k, Number: m.Number, Reason: r, Life: after, Free: n.Free(), Terms: Terms{Digest: d}, Text: text})
	}
	c := n.codes[d]
	if c == nil {
		if len(n.codes) >= maxCodes {
			answer(Refusal, CodeComing, time.Second, "too many packages at once")
			return false
		}
		c = &code{until: never}
		n.codes[d] = c
		n.do(Action{Do: DoFind, Message: Message{Terms: Terms{Digest: d}}})
		answer(Refusal, CodeComing, soonFound, "")
		return false
	}
	switch c.state {
	case codeThere:
		return true
	case codeRefused:
		answer(Refusal, CodeRefused, 0, c.text)
	case codeLooking:
		answer(Refusal, CodeComing, soonFound, "")
	case codeSending:
		if c.sender != s {
			answer(Refusal, CodeComing, soonSent, "")
			return false
		}
		fallthrough
	case codeMissing:
		*c = code{state: codeSending, sender: s, busy: c.busy}
		n.forget(c, now+codeIdle)
		answer(Need, NoReason, 0, "")
	}
	return false
}

func (n *Node) forget(c *code, at time.Duration) {
	c.until = at
	n.next = min(n.next, at)
}

// codesDue forgets what is old, and says when that is to be done next.
func (n *Node) codesDue(now time.Duration) time.Duration {
	next := never
	for d, c := range n.codes {
		if c.until <= now {
			delete(n.codes, d)
		} else {
			next = min(next, c.until)
		}
	}
	return next
}

// Found answers DoFind and ends a sending: the package is there, or missing (which is
// no error), or it is there and cannot be run, for the reason given.
func (n *Node) Found(now time.Duration, d [32]byte, there bool, refused string) {
	c := n.codes[d]
	if c == nil {
		c = &code{}
		n.codes[d] = c
	}
	switch {
	case refused != "":
		*c = code{state: codeRefused, text: refused}
		n.forget(c, now+codeMemory)
	case there:
		*c = code{state: codeThere, until: never}
	default:
		*c = code{state: codeMissing}
		n.forget(c, now+codeMemory)
	}
}

// Gone notes that a package is no longer there.
func (n *Node) Gone(d [32]byte) { delete(n.codes, d) }

// piece has a piece read, if it is the next one of what this session sends.
func (n *Node) piece(now time.Duration, s Session, m *Message) {
	c := n.codes[m.Terms.Digest]
	if c == nil || c.state != codeSending || c.sender != s {
		n.send(s, Message{Kind: Refusal, Number: m.Number, Reason: CodeComing, Terms: Terms{Digest: m.Terms.Digest}, Text: "it was not asked for, or took too long"})
		return
	}
	end := m.Offset + int64(m.Memory.Len)
	if c.busy || m.Offset != c.taken || m.Memory.Len == 0 || end > m.Total || c.total != 0 && m.Total != c.total {
		delete(n.codes, m.Terms.Digest)
		n.send(s, Message{Kind: Refusal, Number: m.Number, Reason: Malformed, Terms: Terms{Digest: m.Terms.Digest},
			Text: fmt.Sprintf("a piece of %d bytes at %d of %d, where %d of %d bytes have arrived", m.Memory.Len, m.Offset, m.Total, c.taken, c.total)})
		return
	}
	c.total, c.busy = m.Total, true
	n.forget(c, now+codeIdle)
	n.do(Action{Do: DoPull, Session: s, Message: *m})
}

// Pulled answers DoPull: the piece was read and taken, or the sending has failed, for
// the reason given. When all is there the driver calls Found first.
func (n *Node) Pulled(now time.Duration, m *Message, s Session, failed string) {
	c := n.codes[m.Terms.Digest]
	if failed != "" {
		if c != nil && c.state == codeSending && c.sender == s {
			delete(n.codes, m.Terms.Digest)
		}
		n.send(s, Message{Kind: Refusal, Number: m.Number, Reason: CodeRefused, Terms: Terms{Digest: m.Terms.Digest}, Text: failed})
		return
	}
	taken := m.Offset + int64(m.Memory.Len)
	if c != nil && c.state == codeSending && c.sender == s {
		c.taken, c.busy = taken, false
		n.forget(c, now+codeIdle)
	}
	n.send(s, Message{Kind: Taken, Number: m.Number, Offset: taken, Total: m.Total, Terms: Terms{Digest: m.Terms.Digest}})
}
