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

// attach adds metadata of n bytes to wr, the staged request of a call in slot s whose input
// has the given number of bytes. They follow the input, or the header if the input stays in
// its buffer. Either way the message is sent from the slot's own memory.
func (c *Client) attach(wr *transport.WorkRequest, s *clientSlot, bytes int, m Metadata, n int) {
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
		takeOffer(s.header)
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
