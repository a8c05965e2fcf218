package transport

import (
	"fmt"

	"github.com/rfaas-go/rfaas/internal/framing"
)

// MaxNoticeBytes is the longest message of Conn.Notify.
const MaxNoticeBytes = 256

// Notify sends the peer a short message beside the data path, over the set-up stream.
// There ConnConfig.Notified is called, also while nobody looks at the connection's
// queues: so it reaches a peer that is busy. It is for what is rare: it costs a system call and the
// wake-up of a goroutine at each end. It keeps no order with requests, and is lost when
// the connection ends. msg is the caller's when Notify returns, which is at once; it may be called
// from anywhere.
//
// A connection made with Device.Join has no stream: ErrNotSupported.
func (c *Conn) Notify(msg []byte) error {
	switch {
	case len(msg) > MaxNoticeBytes:
		return fmt.Errorf("%w: a notice of %d bytes; at most %d", ErrOutOfRange, len(msg), MaxNoticeBytes)
	case c.link == nil:
		return fmt.Errorf("%w: a notice on a connection that was joined, which has no stream", ErrNotSupported)
	}
	c.link.send(framing.Notice, msg, nil)
	return nil
}
