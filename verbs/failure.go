package verbs

import (
	"errors"
	"fmt"
	"time"

	"github.com/rfaas-go/rfaas/transport"
	"github.com/rfaas-go/rfaas/verbs/internal/ibv"
)

// completedWithError is called for every completion that is not a success. The
// first one is the reason why the connection failed, unless a program closed it.
func (q *queuePair) completedWithError(c *transport.Completion, wc *ibv.WC) {
	if q.dead.Load() {
		return
	}
	if c.Status == transport.StatusFlushed {
		q.fail(fmt.Errorf("the device took the queue pair to the error state; the peer may have been refused something: look there (%s)", q.where()), true)
		return
	}
	reason := q.explain(c, wc)
	if !byPeer(c.Status) {
		q.fail(reason, true)
		return
	}
	// When a process ends, the kernel frees its regions before its queue pairs.
	// This may be such an end, which the set-up stream is about to show.
	q.failQuietly(reason)
	time.AfterFunc(deathTakes, func() { q.cfg.Failed(reason) })
}

// deathTakes is how long after a process's regions are freed the end of its set-up
// stream may be noticed.
const deathTakes = 100 * time.Millisecond

// byPeer reports whether a status is the peer's refusal.
func byPeer(s transport.Status) bool {
	return s == transport.StatusRemoteAccess || s == transport.StatusRemoteInvalidRequest || s == transport.StatusRemoteOperation
}

// explain is a failed completion in words that help: which peer, which timer, what
// to look at.
func (q *queuePair) explain(c *transport.Completion, wc *ibv.WC) error {
	o := &q.adapter.options
	own, peer := q.ends()
	err := fmt.Errorf("%v failed: %w (verbs status %d, vendor code %#x; %s)", c.Op, &transport.StatusError{Op: c.Op, ID: c.ID, Status: c.Status}, wc.Status, wc.VendorErr, q.where())
	if down := q.adapter.portDown(); down != nil && !byPeer(c.Status) {
		return fmt.Errorf("%w: %w", err, down)
	}
	switch c.Status {
	case transport.StatusRetryExceeded:
		return fmt.Errorf("%w: no acknowledgement in %d tries, %v apart (parameters retries and ack-timeout); can the peer be pinged from %v, does a firewall drop UDP port %d, do both ends have the right GID, do packets of %d bytes and headers fit all the way?",
			err, o.retries+1, o.ackDuration(), own.GID, rocePort, min(own.MTU, peer.MTU))
	case transport.StatusRNRRetryExceeded:
		return fmt.Errorf("%w: the peer had no receive posted in %d tries (parameter rnr-retries here, rnr-timer there)", err, o.rnrRetries+1)
	}
	return err
}

// portDown is an error if the port is not active, which completions do not show.
func (a *Adapter) portDown() error {
	p := &a.port
	port, err := a.context.QueryPort(p.number)
	if err != nil || port.State == ibv.PortActive || port.State == ibv.PortActiveDefer {
		return nil // the device's events report its failure
	}
	return fmt.Errorf("port %d of %s is %v: look at its cable and switch, and whether its interface is up ('ip link show %s')", p.number, p.device, port.State, p.gid.Interface)
}

// where names both ends.
func (q *queuePair) where() string {
	p := &q.adapter.port
	_, peer := q.ends()
	return fmt.Sprintf("%s port %d, %v queue pair %#x, to %v queue pair %#x", p.device, p.number, gidAddr(p.gid.Addr), q.qp.QPN, peer.GID, peer.QPN)
}

// errDeviceGone ends all connections of a device.
var errDeviceGone = errors.New("the device failed or was removed")
