package transport

import (
	"fmt"

	"github.com/rfaas-go/rfaas/internal/framing"
)

// MaxNoticeBytes is the longest message of Conn.Notify.
const MaxNoticeBytes = 256

// Notify sends the peer a short message beside the data path, over the set-up stream. The
// peer's ConnConfig.Notified is called even if it does not poll its queues, so a busy
// peer is reached. Use it for rare events: it costs a system call and the wake-up of a
// goroutine at each end. It keeps no order with requests, and is lost when the connection
// ends. Notify does not wait, and may be called from anywhere. msg is the caller's again
// when it returns.
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
