package verbs

import (
	"fmt"
	"time"
)

// patrolInterval is how often connections are checked that may have stopped for a
// reason that the device does not report.
const patrolInterval = time.Second

// patrol checks the connections until the adapter is being closed. A port whose MTU
// shrinks makes no event, and rxe tries for ever to send what does not fit any more.
func (a *Adapter) patrol(interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-a.closing:
			return
		case <-a.events:
			return
		case <-tick.C:
		}
		port, err := a.context.QueryPort(a.port.number)
		if err != nil {
			continue // the device's events report its failure
		}
		for _, q := range a.pairs.All() {
			q.patrol(port.ActiveMTU)
		}
	}
}

// patrol checks a connection that made no progress since the last patrol: it
// fails if its packets are too long for the port.
func (q *queuePair) patrol(mtu int) {
	freed := q.sends.freed.Load()
	stalled := freed == q.patrolled && freed != q.sends.posted.Load()
	q.patrolled = freed
	if !stalled {
		return
	}
	own, peer := q.ends()
	if used := int(min(own.MTU, peer.MTU)); mtu < used {
		q.fail(fmt.Errorf("the path MTU of the port shrank to %d bytes, and the connection uses %d: its packets do not fit any more; connect again, or give the interface its MTU back (%s)", mtu, used, q.where()), true)
	} else if q.adapter.isRXE() {
		q.ring()
	}
}
