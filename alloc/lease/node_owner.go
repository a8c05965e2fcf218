package lease

import (
	"slices"
	"time"
)

// Drain gives no more leases, and ends all after a notice.
func (n *Node) Drain(now time.Duration, why Reason, text string) {
	if !n.draining {
		n.draining = true
		for s := range n.sessions {
			n.send(s, Message{Kind: Draining, Text: text})
		}
	}
	for _, l := range n.Leases() {
		n.notice(now, l, why, text)
	}
}

// Revoke ends a lease after a notice.
func (n *Node) Revoke(now time.Duration, id ID, why Reason, text string) bool {
	l := n.leases[id]
	if l == nil {
		return false
	}
	n.notice(now, l, why, text)
	return true
}

// notice tells a lease's tenant how long it may use it yet. What had less to live
// anyway keeps that.
func (n *Node) notice(now time.Duration, l *Lease, why Reason, text string) {
	if l.State != Granted {
		return
	}
	l.State, l.reason, l.text = Noticed, why, text
	n.expire(l, min(l.Expires, now+n.cfg.Notice))
	n.do(Action{Do: DoDrain, Lease: l})
	n.send(l.session, Message{Kind: Notice, Lease: l.ID, Reason: why, Life: max(l.Expires-now, 0), Text: text})
}

// Reclaim gives the owner of the node so many of its cores in all, 0 to give them back:
// free ones at once, others when leases have ended; if necessary leases are revoked, the
// youngest first, which have the least to lose.
func (n *Node) Reclaim(now time.Duration, cores int, text string) {
	cores = min(max(cores, 0), len(n.cfg.Cores))
	if spare := len(n.kept) - cores; spare > 0 {
		n.free = append(n.free, n.kept[:spare]...)
		n.kept = slices.Delete(n.kept, 0, spare)
	}
	n.withheld = cores - len(n.kept)
	n.withhold()
	coming := 0
	all := n.Leases()
	for _, l := range all {
		if l.State != Granted {
			coming += len(l.Cores)
		}
	}
	for _, l := range slices.Backward(all) {
		if coming >= n.withheld {
			return
		}
		if l.State == Granted {
			n.notice(now, l, Revoked, text)
			coming += len(l.Cores)
		}
	}
}

// withhold keeps free cores for the owner, as far as it wants some.
func (n *Node) withhold() {
	k := min(max(n.withheld, 0), len(n.free))
	n.kept = append(n.kept, n.free[len(n.free)-k:]...)
	n.free = n.free[:len(n.free)-k]
	n.withheld -= k
}
