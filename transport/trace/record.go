package trace

import (
	"fmt"
	"strconv"

	"github.com/rfaas-go/rfaas/transport"
)

// Event is the kind of a Record.
type Event uint8

// The events.
const (
	Posted    Event = iota // the provider took a request
	Refused                // the provider refused a request with ErrQueueFull
	Completed              // a completion was polled
)

var eventNames = [...]string{"post", "full", "done"}

// String is the event's name in the text.
func (e Event) String() string {
	if int(e) < len(eventNames) {
		return eventNames[e]
	}
	return fmt.Sprintf("event(%d)", uint8(e))
}

// Record is one event. 32 bytes, no pointers.
type Record struct {
	Nanoseconds int64  // since the Recorder was made
	ID          uint64 // of the request
	Conn        uint32 // Completion.Conn; 0 for a shared receive queue
	Bytes       uint32 // the request's length; of a completion, Completion.Bytes
	Imm         uint32 // immediate data: sent with a WriteImm, received with an OpRecvImm
	Event       Event
	Op          transport.Op
	Status      transport.Status // of a completion
	Flags       transport.Flags  // of a request
}

// appendText appends the record's line.
func (r *Record) appendText(b []byte) []byte {
	b = strconv.AppendInt(b, r.Nanoseconds, 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(r.Conn), 10)
	b = append(b, ' ')
	b = append(b, r.Event.String()...)
	b = append(b, ' ')
	b = append(b, r.Op.String()...)
	b = append(b, ' ')
	b = strconv.AppendUint(b, r.ID, 10)
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(r.Bytes), 10)
	b = append(b, ' ')
	b = append(b, r.outcome()...)
	return append(b, '\n')
}

// outcome is the status in words, "-" for what has none.
func (r *Record) outcome() string {
	if r.Event != Completed {
		return "-"
	}
	return r.Status.String()
}
