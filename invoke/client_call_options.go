package invoke

import (
	"maps"
	"time"
)

// CallOptions change how a call is made. If several are given, what a later one
// sets counts.
type CallOptions struct {
	// Room is how long the result can be, in bytes: as Client.SlotBytes if it is
	// less. A Buffer has the room that it was made with.
	Room int
	// Out is the slice that Future.Wait will be given, if that is known: a long result
	// goes straight there if it is in ClientConfig.Memory. It belongs to the call until then.
	Out []byte
	// Timeout is how long the call may take: it travels with the call, as the
	// deadline of the context does, and the sooner one counts. It ends the function,
	// and not the wait for its answer. 0 is for no limit.
	Timeout time.Duration
	// NoWait makes the call only if it can be sent at once; otherwise it fails with
	// ErrNoCredit.
	NoWait bool
	// Metadata goes with the call. If several options have some, their keys are put
	// together. It is copied.
	Metadata Metadata
}

// CombineOptions is all options in one.
func CombineOptions(options ...CallOptions) (o CallOptions) {
	for i := range options {
		given := &options[i]
		if given.Room != 0 {
			o.Room = given.Room
		}
		if given.Out != nil {
			o.Out = given.Out
		}
		if given.Timeout != 0 {
			o.Timeout = given.Timeout
		}
		o.NoWait = o.NoWait || given.NoWait
		if o.Metadata == nil {
			o.Metadata = given.Metadata
		} else if given.Metadata != nil {
			o.Metadata = maps.Clone(o.Metadata)
			maps.Copy(o.Metadata, given.Metadata)
		}
	}
	return o
}
