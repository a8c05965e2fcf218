package lease

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rfaas-go/rfaas/transport"
)

// Kind says what a Message is.
type Kind uint8

// The kinds: those of a client first.
const (
	Request Kind = iota + 1
	Piece
	Renew
	Release

	Grant
	Refusal
	Need
	Taken
	Renewed
	Ended
	Notice
	Lost
	Draining

	kindEnd
)

var kindNames = [kindEnd]string{"no message", "request", "piece", "renew", "release", "grant", "refusal", "need", "taken", "renewed", "ended", "notice", "lost", "draining"}

// String is the kind's name.
func (k Kind) String() string {
	if k < kindEnd {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Message is what the two sides send each other. The comment of a field names the kinds
// that have it; in others it is zero.
type Message struct {
	Kind   Kind
	Number uint32 // Request, Piece, Renew: the client's; Grant, Refusal, Need, Taken, Renewed, some Ended: that of what is answered; Lost: the attempt
	Lease  ID     // Grant, Renew, Renewed, Release, Ended, Notice, Lost
	Secret Secret // Grant, Renew, Release
	Reason Reason // Refusal, Ended, Notice, Lost
	Worker int    // Lost: from 0
	// Process is the process id of what was lost; 0 if there was none.
	Process int
	// Life is how long the lease is to live (Request, Renew) or lives (Grant, Renewed),
	// after how long to ask again (Refusal), or what time is left (Notice).
	Life  time.Duration
	Terms Terms    // Request; Need, Piece, Taken, and a Refusal because of the code, have the digest
	Free  Capacity // Refusal of a Request, Need
	// Offset is where a piece begins in the archive, or up to where it was taken; Total
	// the length of the archive.
	Offset, Total int64
	Memory        transport.RemoteSpan // Piece: where to read it
	// Usage is what the lease has cost (Ended): the words of accounting.Usage. Claimed: the
	// counts are what its own code says.
	Usage   [UsageWords]uint64
	Claimed bool
	Text    string // Refusal, Ended, Notice, Lost, Draining: for people, at most MaxTextBytes
}

const (
	// MessageBytes is the length of every message.
	MessageBytes = 512
	// MaxTextBytes is the most text that a message has room for; the rest is cut off.
	MaxTextBytes = MessageBytes - textOffset
	textOffset   = 224
	// UsageWords is how many words a Usage has.
	UsageWords = 7
	// PieceBytes is how large a piece of a package may be.
	PieceBytes = 1 << 20
)

var order = binary.LittleEndian

// Encode writes the message to b, which has MessageBytes:
//
//	0   1  kind
//	2   2  reason
//	4   4  number
//	8   8  lease
//	16 16  secret
//	32  8  life, ns
//	40  2  worker
//	42  2  workers
//	44  2  cores
//	46  2  slots
//	48  4  bytes of a slot
//	52  2  bytes of the text
//	56  8  bytes of memory
//	64  8  bytes of payload
//	72  8  polling time, ns
//	80 32  digest
//	112 4  free cores
//	116 4  process
//	120 8  free memory
//	128 8  offset
//	136 8  total
//	144 16 where to read
//	160 56 usage
//	216 1  claimed
//	224 .. text
func (m *Message) Encode(b []byte) {
	clear(b[:MessageBytes])
	t := &m.Terms
	b[0] = byte(m.Kind)
	order.PutUint16(b[2:], uint16(m.Reason))
	order.PutUint32(b[4:], m.Number)
	order.PutUint64(b[8:], uint64(m.Lease))
	copy(b[16:], m.Secret[:])
	order.PutUint64(b[32:], uint64(m.Life))
	order.PutUint16(b[40:], uint16(m.Worker))
	order.PutUint16(b[42:], uint16(t.Workers))
	order.PutUint16(b[44:], uint16(t.Cores))
	order.PutUint16(b[46:], uint16(t.Slots))
	order.PutUint32(b[48:], uint32(t.SlotBytes))
	text := cut(m.Text)
	order.PutUint16(b[52:], uint16(len(text)))
	order.PutUint64(b[56:], uint64(t.MemoryBytes))
	order.PutUint64(b[64:], uint64(t.PayloadBytes))
	order.PutUint64(b[72:], uint64(t.Spin))
	copy(b[80:112], t.Digest[:])
	order.PutUint32(b[112:], uint32(m.Free.Cores))
	order.PutUint32(b[116:], uint32(m.Process))
	order.PutUint64(b[120:], uint64(m.Free.MemoryBytes))
	order.PutUint64(b[128:], uint64(m.Offset))
	order.PutUint64(b[136:], uint64(m.Total))
	m.Memory.AppendTo(b[144:144])
	for i, u := range m.Usage {
		order.PutUint64(b[160+8*i:], u)
	}
	if m.Claimed {
		b[216] = 1
	}
	copy(b[textOffset:], text)
}

// cut is as much of a text as a message has room for.
func cut(text string) string {
	if len(text) <= MaxTextBytes {
		return text
	}
	n := MaxTextBytes
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

var errMalformed = errors.New("lease: malformed message")

// Decode reads a message; the text is copied. What comes from a peer may be anything:
// what cannot be is an error, and what is printed is printable.
func (m *Message) Decode(b []byte) error {
	if len(b) != MessageBytes {
		return fmt.Errorf("%w: %d bytes, not %d", errMalformed, len(b), MessageBytes)
	}
	*m = Message{
		Kind: Kind(b[0]), Reason: Reason(order.Uint16(b[2:])), Number: order.Uint32(b[4:]), Lease: ID(order.Uint64(b[8:])),
		Life: time.Duration(order.Uint64(b[32:])), Worker: int(order.Uint16(b[40:])), Process: int(order.Uint32(b[116:])),
		Terms: Terms{
			Workers: int(order.Uint16(b[42:])), Cores: int(order.Uint16(b[44:])), Slots: int(order.Uint16(b[46:])), SlotBytes: int(order.Uint32(b[48:])),
			MemoryBytes: int64(order.Uint64(b[56:])), PayloadBytes: int64(order.Uint64(b[64:])), Spin: time.Duration(order.Uint64(b[72:])),
		},
		Free:   Capacity{Cores: int(order.Uint32(b[112:])), MemoryBytes: int64(order.Uint64(b[120:]))},
		Offset: int64(order.Uint64(b[128:])), Total: int64(order.Uint64(b[136:])),
	}
	copy(m.Secret[:], b[16:])
	copy(m.Terms.Digest[:], b[80:])
	for i := range m.Usage {
		m.Usage[i] = order.Uint64(b[160+8*i:])
	}
	m.Claimed = b[216] == 1
	m.Memory, _ = transport.DecodeRemoteSpan(b[144:])
	n := int(order.Uint16(b[52:]))
	switch {
	case m.Kind == 0 || m.Kind >= kindEnd:
		return fmt.Errorf("%w: %v", errMalformed, m.Kind)
	case m.Reason >= reasonCount:
		return fmt.Errorf("%w: %v", errMalformed, m.Reason)
	case m.Life < 0 || m.Terms.Spin < 0 || m.Terms.MemoryBytes < 0 || m.Terms.PayloadBytes < 0 || m.Free.MemoryBytes < 0 || m.Offset < 0 || m.Total < m.Offset:
		return fmt.Errorf("%w: a %v with a negative quantity", errMalformed, m.Kind)
	case n > MaxTextBytes:
		return fmt.Errorf("%w: %d bytes of text", errMalformed, n)
	}
	m.Text = printable(string(b[textOffset : textOffset+n]))
	return nil
}

// printable is a peer's text without what could mislead on a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}
