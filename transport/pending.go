package transport

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// pending are the streams of a Listener that are not accepted yet. When there are as many
// as it keeps, a new one replaces the oldest silent one of the user or host with most
// silent ones: a flood of connections displaces itself. Among streams of the same user or
// host, the oldest is replaced only after it has been silent for a while.
type pending struct {
	most int

	mu     sync.Mutex
	silent map[string][]*waiting // by user or host, the oldest first
	size   int                   // those whose request was read included
	freed  chan struct{}         // one token, when one was removed
}

// waiting is a pending stream.
type waiting struct {
	source string
	since  time.Time
	cancel context.CancelCauseFunc
}

// silence is how long a peer may be silent when there is no room for all.
const silence = time.Second

// mostPending is how many streams a listener keeps: a part of the process's descriptor
// limit.
func mostPending() int {
	const most, part = 4096, 4
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur/part > most {
		return most
	}
	return max(int(limit.Cur/part), 1)
}

func newPending(most int) *pending {
	return &pending{most: most, silent: map[string][]*waiting{}, freed: make(chan struct{}, 1)}
}

var errDrivenOut = fmt.Errorf("%w: it was silent while too many others of its user or host came", ErrRejected)

// add adds a stream, which cancel ends. While there is no room, it waits as long as the
// context.
func (p *pending) add(ctx context.Context, stream net.Conn, cancel context.CancelCauseFunc) (*waiting, error) {
	w := &waiting{sourceOf(stream), time.Now(), cancel}
	for {
		patience := p.try(w)
		if patience == 0 {
			return w, nil
		}
		select {
		case <-p.freed:
		case <-time.After(patience):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// try adds a stream, or returns after how long to try again.
func (p *pending) try(w *waiting) (again time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.size == p.most {
		most := w.source
		for source, all := range p.silent {
			if len(all) > len(p.silent[most]) {
				most = source
			}
		}
		if len(p.silent[most]) == 0 {
			return silence
		}
		oldest := p.silent[most][0]
		if left := silence - time.Since(oldest.since); most == w.source && left > 0 {
			return left
		}
		oldest.cancel(errDrivenOut)
		p.forget(oldest)
		p.size--
	}
	p.silent[w.source] = append(p.silent[w.source], w)
	p.size++
	return 0
}

// heard notes that the peer's request was read.
func (p *pending) heard(w *waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.forget(w) {
		w.source = ""
	}
}

// remove removes a stream, unless it was displaced.
func (p *pending) remove(w *waiting) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.forget(w) && w.source != "" {
		return
	}
	p.size--
	select {
	case p.freed <- struct{}{}:
	default:
	}
}

// forget removes it from the silent ones, if it is one.
func (p *pending) forget(w *waiting) bool {
	all := p.silent[w.source]
	i := slices.Index(all, w)
	switch {
	case i < 0:
		return false
	case len(all) == 1:
		delete(p.silent, w.source)
	default:
		p.silent[w.source] = slices.Delete(all, i, i+1)
	}
	return true
}

// sourceOf is the user or host that a stream comes from.
func sourceOf(stream net.Conn) string {
	if c := PeerCredentials(stream); c != nil {
		return fmt.Sprintf("user %d", c.UID)
	}
	const networkBits = 64 // of IPv6, where one host may have a whole /64
	at, err := netip.ParseAddrPort(stream.RemoteAddr().String())
	if err != nil {
		return stream.RemoteAddr().Network()
	}
	host := at.Addr().Unmap()
	if host.Is6() {
		if prefix, err := host.Prefix(networkBits); err == nil {
			return prefix.String()
		}
	}
	return host.String()
}
