package simnet

import "fmt"

// End sends and receives datagrams.
type End struct {
	network *Network
	name    string
	receive func(from *End, datagram []byte)
	lanes   []*Lane // to other ends; few, so that looking through them is quickest
}

// String is the end's name.
func (e *End) String() string { return e.name }

// Send sends a datagram, which is copied. It does not return whether it arrives:
// see Network.Observe.
func (e *End) Send(to *End, datagram []byte) { e.Lane(to).send(datagram) }

// Lane is the direction from e to another end, which must have been joined.
func (e *End) Lane(to *End) *Lane {
	l := e.laneTo(to)
	if l == nil {
		panic(fmt.Sprintf("simnet: %s and %s are not joined", e, to))
	}
	return l
}

func (e *End) laneTo(to *End) *Lane {
	for _, l := range e.lanes {
		if l.to == to {
			return l
		}
	}
	return nil
}
