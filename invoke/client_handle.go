package invoke

import (
	"context"
	"encoding/binary"
	"fmt"
)

// Handle is a function of a client's worker. It is good for that client only.
type Handle struct {
	client     *Client
	index      uint32
	name       string
	idempotent bool
}

// Name is the function's name.
func (h *Handle) Name() string { return h.name }

// Idempotent tells whether a call may be repeated without a second effect.
func (h *Handle) Idempotent() bool { return h.idempotent }

// Function asks the worker for a function by name, once for all calls of it. A
// worker that does not have it answers with StatusNotFound and says what it has.
// The look-up is a call like others: it needs a credit.
func (c *Client) Function(ctx context.Context, name string) (*Handle, error) {
	if len(name) > maxNameBytes {
		return nil, &Error{Status: StatusNotFound, Worker: c.worker, Started: StartedNo,
			Message: fmt.Sprintf("a name of %d bytes; names have at most %d", len(name), maxNameBytes)}
	}
	lookup := &Handle{client: c, index: lookupFunction, name: name}
	var out [lookupReplyBytes]byte
	n, err := c.Call(ctx, lookup, []byte(name), out[:])
	if err != nil {
		return nil, err
	}
	if n != lookupReplyBytes {
		return nil, fmt.Errorf("invoke: the worker's answer to a look-up has %d bytes, not %d", n, lookupReplyBytes)
	}
	index, flags := binary.LittleEndian.Uint32(out[:]), binary.LittleEndian.Uint32(out[4:])
	if index >= maxFunctions {
		return nil, fmt.Errorf("invoke: the worker's answer to a look-up is function %d; there can be %d", index, maxFunctions)
	}
	return &Handle{client: c, index: index, name: name, idempotent: flags&lookupIdempotent != 0}, nil
}
