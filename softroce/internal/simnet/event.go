package simnet

import (
	"fmt"
	"time"
)

// What happened to a datagram.
type What uint8

// Those that end a datagram's way are Delivered and, below it, the losses. A
// second copy ends on its own: once nothing is in flight, as many have ended as were
// sent or duplicated.
const (
	Sent       What = iota
	Duplicated      // a second copy was made
	Reordered       // held back
	Flipped         // bits were inverted; Event.Datagram shows the outcome
	Truncated       // as Flipped
	Delivered
	Lost
	Severed    // the lane is or was cut
	Oversized  // longer than the MTU
	Overflowed // no room in the queue
)

var whatNames = [...]string{"sent", "duplicated", "reordered", "flipped", "truncated", "delivered", "lost", "severed", "oversized", "overflowed"}

// String is the name, as traces show it.
func (w What) String() string {
	if int(w) < len(whatNames) {
		return whatNames[w]
	}
	return fmt.Sprintf("what(%d)", uint8(w))
}

// Event is something that happened to a datagram.
type Event struct {
	At       time.Duration
	What     What
	From, To *End
	Datagram []byte // the network's; not to be kept
}
