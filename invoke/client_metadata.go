package invoke

import (
	"fmt"

	"github.com/rfaas-go/rfaas/transport"
)

// metadataBytes is how long the metadata of a call are, once encoded.
func (c *Client) metadataBytes(f *Handle, m Metadata) (int, error) {
	if len(m) == 0 {
		return 0, nil
	}
	n, err := m.encodedBytes()
	if err != nil {
		return 0, fmt.Errorf("invoke: function %q: %w", f.name, err)
	}
	if most := min(MaxMetadataBytes, c.layout.slotBytes); n > most {
		return 0, &Error{Status: StatusTooLarge, Function: f.name, Worker: c.worker, Started: StartedNo,
			Message: fmt.Sprintf("the metadata of the call have %d bytes; at most %d", n, most)}
	}
	return n, nil
}

// attach adds metadata of n bytes to the request that was staged last, of a call in slot s
// whose input has so many bytes. They are behind the input, or alone if that stays in its
// buffer: the slot's own memory is what is sent then, too.
func (c *Client) attach(s *clientSlot, bytes int, m Metadata, n int) {
	wr := &c.staged[c.length-1]
	behind := 0
	if b := s.buffer; b != nil {
		*s.header = *b.header
		if bytes+n > c.layout.slotBytes {
			putSource(s.header, b.source.Slice(0, bytes))
		} else {
			putSource(s.header, transport.RemoteSpan{})
			behind = copy(s.input, b.in[:bytes])
		}
	} else {
		putSource(s.header, transport.RemoteSpan{})
		behind = bytes
	}
	m.appendTo(s.input[:behind])
	putMetadataBytes(s.header, uint32(n))
	s.attached = true
	_, _, function := decodeRequestImm(wr.Imm)
	wr.Imm = requestImm(s.index, kindFull, function)
	wr.Local = s.local.Slice(0, headerBytes+behind+n)
	wr.Flags &^= transport.Inline
	if wr.Bytes() <= uint64(c.inlineBytes) {
		wr.Flags |= transport.Inline
	}
}
