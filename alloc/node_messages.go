package alloc

import (
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
)

// settle carries out the messages and events of the state machine, which may cause more.
// n.mu is held.
func (n *node) settle() {
	next := n.state.Tick(n.now())
	for {
		n.messages = n.state.Messages(n.messages[:0])
		n.events = n.state.Events(n.events[:0])
		if len(n.messages)+len(n.events) == 0 {
			break
		}
		n.send()
		for i := range n.events {
			n.happened(&n.events[i])
		}
		next = n.state.Tick(n.now())
	}
	if next < n.armed {
		n.armed = next
		select {
		case n.alarm <- struct{}{}:
		default:
		}
	}
}

// send sends messages. n.mu is held.
func (n *node) send() {
	for i := range n.messages {
		if n.link == nil {
			return
		}
		if err := n.link.Send(&n.messages[i]); err != nil {
			conn := n.link.Conn
			go conn.Close() // poll finds out
			return
		}
	}
}

// happened takes an event. n.mu is held.
func (n *node) happened(e *lease.Event) {
	switch e.Kind {
	case lease.WasGranted, lease.WasRefused, lease.WasNeeded:
		if e.Kind == lease.WasRefused && (e.Reason == lease.NoCores || e.Reason == lease.NoMemory) {
			n.hear(e.Free)
		}
		if e.Kind == lease.WasGranted {
			t := &e.Lease.Terms
			n.hear(lease.Capacity{Cores: max(n.free.Cores-t.Workers*t.Cores, 0), MemoryBytes: n.free.MemoryBytes})
			n.granted[e.Lease.ID] = &grant{node: n, id: e.Lease.ID, secret: e.Lease.Secret, workers: t.Workers, users: t.Workers, leaving: make(chan struct{}), ended: make(chan struct{}), losses: map[lost]lease.Event{}, news: make(chan struct{})}
		}
		if answer, ok := n.answers[e.Number]; ok {
			delete(n.answers, e.Number)
			answer <- *e
		} else if e.Kind == lease.WasGranted {
			n.state.Return(e.Lease.ID) // the request was given up
			delete(n.granted, e.Lease.ID)
		} else if n.taken != nil {
			select {
			case n.taken <- *e:
			default:
			}
		}
	case lease.WasTaken:
		if n.taken != nil {
			select {
			case n.taken <- *e:
			default:
			}
		}
	case lease.WasNoticed, lease.WasEnded:
		g := n.granted[e.Lease.ID]
		if g == nil {
			g = n.returned[e.Lease.ID]
		}
		if g == nil {
			return
		}
		if e.Kind == lease.WasEnded {
			delete(n.granted, e.Lease.ID)
			delete(n.returned, e.Lease.ID)
			n.hear(lease.Capacity{Cores: n.free.Cores + e.Lease.Terms.Workers*e.Lease.Terms.Cores, MemoryBytes: n.free.MemoryBytes})
			g.usage, g.claimed = e.Usage, e.Claimed
			close(g.ended)
		}
		if !isClosed(g.leaving) {
			close(g.leaving)
		}
		n.client.log.Info("lease ends", "node", n.name(), "lease", e.Lease.ID, "reason", e.Reason.String(), "text", e.Text, "left", e.After)
	case lease.WasLost:
		if g := n.granted[e.Lease.ID]; g != nil {
			g.lost(e)
		}
	case lease.WasDraining:
		n.draining, n.heard = true, n.now()
		n.client.log.Info("node drains", "node", n.name())
	}
}

// keepTime does what is due.
func (n *node) keepTime() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-n.life.Done():
			return
		case <-n.alarm:
		case <-timer.C:
		}
		n.mu.Lock()
		n.armed = n.state.Tick(n.now())
		n.settle()
		wait := min(n.armed-n.now(), time.Hour)
		n.mu.Unlock()
		timer.Reset(max(wait, 0))
	}
}
