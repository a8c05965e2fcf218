package manager

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// heartbeatInterval is how long a watch is silent at most.
	heartbeatInterval = 5 * time.Second
	// maxHeartbeats is how many heartbeats may wait for a watcher.
	maxHeartbeats = 6

	maxBacklogBytes = 1 << 20
	maxWatchers     = 1 << 15
)

var (
	errBacklog   = errors.New("it does not read: its backlog is full")
	errHeartbeat = errors.New("it does not read: its heartbeats are not taken off")
)

// watcher is one client's watch. Its goroutine is that of the request; others
// append lines to its backlog and do not wait.
type watcher struct {
	remote string
	out    *http.ResponseController
	wake   chan struct{} // holds 1

	mu      sync.Mutex
	backlog [][]byte // lines to write, shared by all watchers
	waiting load     // the backlog
	writing load     // what was taken out of it, and is not written yet
	ended   bool
}

// load is how much there is of lines.
type load struct{ bytes, heartbeats int }

// watch answers with the changes since a revision, as they come.
func (m *Manager) watch(rw http.ResponseWriter, r *http.Request) error {
	life, err := parseLife(r.URL.Query().Get("life"))
	if err != nil {
		return err
	}
	revision, err := number(r, "revision")
	if err != nil {
		return err
	}
	w := &watcher{remote: r.RemoteAddr, out: http.NewResponseController(rw), wake: make(chan struct{}, 1)}
	lines, err := m.admit(w, life, revision)
	if err != nil {
		return err
	}
	defer m.dismiss(w)
	// The server's deadlines are those of short requests. Not every ResponseWriter has
	// them.
	_ = w.out.SetReadDeadline(time.Time{})
	_ = w.out.SetWriteDeadline(time.Time{})
	rw.Header().Set("Content-Type", "application/x-ndjson")
	rw.Header().Set("Cache-Control", "no-store")
	for {
		for _, line := range lines {
			if _, err := rw.Write(line); err != nil {
				return nil // the client is gone, or was cut off
			}
		}
		if err := w.out.Flush(); err != nil {
			return nil
		}
		w.written()
		select {
		case <-w.wake:
		case <-r.Context().Done():
			return nil
		}
		var ended bool
		if lines, ended = w.take(); ended {
			return nil
		}
	}
}

// admit adds a watcher, and returns what it is to be told first: the changes up to
// now and a heartbeat, by which it knows that these were all.
func (m *Manager) admit(w *watcher, life, revision uint64) ([][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed
	}
	changes, err := m.registry.Since(life, revision)
	if err != nil {
		return nil, err
	}
	if len(m.watchers) >= m.maxWatchers {
		return nil, &refusal{http.StatusServiceUnavailable, fmt.Errorf("there are %d watchers, which is the most; ask again later", m.maxWatchers)}
	}
	m.watchers[w] = struct{}{}
	lines := make([][]byte, 0, len(changes)+1)
	for _, c := range changes {
		lines = append(lines, c.line)
	}
	return append(lines, heartbeat(m.registry.Revision())), nil
}

func heartbeat(revision uint64) []byte { return fmt.Appendf(nil, `{"revision":%d}`+"\n", revision) }

func (m *Manager) dismiss(w *watcher) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watchers, w)
}

// cut ends a watch, also one whose client does not read. The caller holds m.mu: a
// request whose watcher is among m.watchers has not returned, so that its deadline
// may be set.
func (m *Manager) cut(w *watcher, why error) {
	delete(m.watchers, w)
	w.end()
	_ = w.out.SetWriteDeadline(time.Unix(1, 0))
	if why != nil {
		m.log.Info("watcher is cut off", "remote", w.remote, "reason", why)
	}
}

// publish tells the watchers what changed since it was last called. The caller holds
// m.mu.
func (m *Manager) publish() {
	if m.sent == m.registry.Revision() {
		return
	}
	changes, err := m.registry.Since(m.cfg.Life, m.sent)
	m.sent = m.registry.Revision()
	if err != nil { // more at once than the log holds: they have to take a snapshot
		for w := range m.watchers {
			m.cut(w, err)
		}
	}
	for _, c := range changes {
		m.logChange(c)
		m.send(c.line, false)
	}
}

func (m *Manager) logChange(c Change) {
	if c.Kind == Changed {
		m.log.Debug("node changed", "node", c.Node.ID, "epoch", c.Node.Epoch, "revision", c.Revision)
		return
	}
	m.log.Info("node is "+string(c.Kind), "node", c.Node.ID, "epoch", c.Node.Epoch, "revision", c.Revision)
}

func (m *Manager) sendHeartbeat() { m.send(heartbeat(m.registry.Revision()), true) }

func (m *Manager) send(line []byte, isHeartbeat bool) {
	for w := range m.watchers {
		if err := w.append(line, isHeartbeat, m.maxBacklogBytes); err != nil {
			m.cut(w, err)
		}
	}
}

// append adds a line to the backlog. An error says why the watcher is to be cut off.
func (w *watcher) append(line []byte, isHeartbeat bool, maxBytes int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waiting.bytes += len(line); w.waiting.bytes+w.writing.bytes > maxBytes {
		return errBacklog
	}
	if isHeartbeat {
		if w.waiting.heartbeats++; w.waiting.heartbeats+w.writing.heartbeats > maxHeartbeats {
			return errHeartbeat
		}
	}
	w.backlog = append(w.backlog, line)
	w.notify()
	return nil
}

func (w *watcher) notify() {
	select {
	case w.wake <- struct{}{}:
	default: // it will look
	}
}

func (w *watcher) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.notify()
}

// take takes the lines out of the backlog; they count until they are written.
func (w *watcher) take() (lines [][]byte, ended bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines, w.backlog = w.backlog, nil
	w.writing, w.waiting = w.waiting, load{}
	return lines, w.ended
}

func (w *watcher) written() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writing = load{}
}
