package manager

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Role says what a request is to be allowed for.
type Role string

// Roles.
const (
	Agent  Role = "agent"  // registers the node that the path names
	Caller Role = "caller" // reads the nodes and their changes
)

// Config describes a manager. The zero value will do.
type Config struct {
	// Life is the id of this manager's life, by which clients notice that revisions
	// begin again. Default: a random one.
	Life uint64
	// Clock is monotonic, and may be called by several goroutines at once. Default:
	// the time since New.
	Clock func() time.Duration
	// Logger gets messages about nodes that come and go, and watchers that are cut off.
	// It may be nil.
	Logger *slog.Logger
	// Authorize refuses a request by an error, which the answer has. It may look at
	// the request's TLS state, headers and path, and may be called by several
	// goroutines at once. If nil, all requests are allowed.
	Authorize func(*http.Request, Role) error
	// Accounting are the addresses at which agents report usage. It may be empty.
	Accounting []Address
	// TimeToLive is how long a node stays that does not renew: 100 ms to 1 h, 10 s if
	// 0.
	TimeToLive time.Duration
}

// Bounds of requests.
const (
	defaultTimeToLive = 10 * time.Second
	minTimeToLive     = 100 * time.Millisecond
	maxTimeToLive     = time.Hour

	maxBodyBytes  = 64 << 10
	bodyTimeout   = 10 * time.Second // to arrive
	answerTimeout = time.Minute      // to be taken off
)

// Manager is the HTTP handler that answers agents and callers; the package says what
// they ask. Any goroutine may call its methods.
type Manager struct {
	cfg    Config
	log    *slog.Logger
	mux    *http.ServeMux
	ending chan struct{}
	ended  chan struct{} // attend has returned

	heartbeat       time.Duration
	maxBacklogBytes int
	maxWatchers     int

	mu         sync.Mutex
	closed     bool
	registry   *Registry
	sent       uint64 // watchers were told up to this revision
	snapshot   []byte // of the revision snapshotAt
	snapshotAt uint64
	watchers   map[*watcher]struct{}
}

// New makes a manager that knows no nodes yet, to be closed. An error is one of
// Config.TimeToLive.
func New(cfg Config) (*Manager, error) {
	m := newManager(cfg)
	if t := m.cfg.TimeToLive; t < minTimeToLive || t > maxTimeToLive {
		return nil, fmt.Errorf("manager: Config.TimeToLive is %v: must be %v to %v, or 0 for %v", t, minTimeToLive, maxTimeToLive, defaultTimeToLive)
	}
	go m.attend()
	return m, nil
}

func newManager(cfg Config) *Manager {
	if cfg.Life == 0 {
		cfg.Life = rand.Uint64()
	}
	if cfg.Clock == nil {
		start := time.Now()
		cfg.Clock = func() time.Duration { return time.Since(start) }
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.TimeToLive == 0 {
		cfg.TimeToLive = defaultTimeToLive
	}
	m := &Manager{
		cfg: cfg, log: cfg.Logger, mux: http.NewServeMux(), ending: make(chan struct{}), ended: make(chan struct{}),
		heartbeat: heartbeatInterval, maxBacklogBytes: maxBacklogBytes, maxWatchers: maxWatchers,
		registry: NewRegistry(cfg.Life), watchers: map[*watcher]struct{}{},
	}
	m.handle("PUT /v1/nodes/{id}", Agent, m.put)
	m.handle("DELETE /v1/nodes/{id}", Agent, m.delete)
	m.handle("GET /v1/nodes", Caller, m.list)
	m.handle("GET /v1/watch", Caller, m.watch)
	m.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, &refusal{http.StatusNotFound, errors.New("there is no such request; there are PUT and DELETE /v1/nodes/ID, GET /v1/nodes and GET /v1/watch")})
	})
	return m
}

// ServeHTTP answers a request. A watch lasts until its client ends it, does not
// read, or Close.
func (m *Manager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The server lifts it after the request. Not every ResponseWriter has deadlines.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	m.mux.ServeHTTP(w, r)
}

// Close ends all watches, and refuses watches and registrations that come later. It returns
// when nothing of the manager's own runs; requests may still be ending.
func (m *Manager) Close() error {
	m.mu.Lock()
	if !m.closed {
		m.closed = true
		close(m.ending)
		for w := range m.watchers {
			m.cut(w, nil)
		}
	}
	m.mu.Unlock()
	<-m.ended
	return nil
}

// attend expires nodes and sends heartbeats. It sleeps no longer than a node lives,
// so that it need not be woken for one that registers meanwhile.
func (m *Manager) attend() {
	defer close(m.ended)
	beat := m.cfg.Clock() + m.heartbeat
	for {
		m.mu.Lock()
		now := m.cfg.Clock()
		next := m.expire(now)
		if now >= beat {
			m.sendHeartbeat()
			beat = now + m.heartbeat
		}
		m.mu.Unlock()
		timer := time.NewTimer(min(next, beat, now+m.cfg.TimeToLive) - now)
		select {
		case <-timer.C:
		case <-m.ending:
			timer.Stop()
			return
		}
	}
}

// expire brings the registry up to date, and its watchers. The caller holds m.mu.
func (m *Manager) expire(now time.Duration) (next time.Duration) {
	next = m.registry.Expire(now)
	m.publish()
	return next
}

// refusal is an error with its HTTP status.
type refusal struct {
	status int
	err    error
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

func bad(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, fmt.Errorf(format, args...)}
}

var errClosed = &refusal{http.StatusServiceUnavailable, errors.New("the manager is being closed; ask again when it is back")}

// statuses are the HTTP statuses of named errors, in both directions.
var statuses = []struct {
	err    error
	status int
}{
	{ErrLowerEpoch, http.StatusConflict},
	{ErrNewSnapshot, http.StatusGone},
	{ErrTooManyNodes, http.StatusInsufficientStorage},
}

func statusOf(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.status
	}
	for _, s := range statuses {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return http.StatusBadRequest // a check's
}

// answerError is the body of what is not 200 OK.
type answerError struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, err error) {
	answer(w, statusOf(err), encode(answerError{err.Error()}))
}

func answer(w http.ResponseWriter, status int, body []byte) {
	out := http.NewResponseController(w)
	_ = out.SetWriteDeadline(time.Now().Add(answerTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)                         // an error means that the client is gone
	_ = out.Flush()                       // within the deadline,
	_ = out.SetWriteDeadline(time.Time{}) // which the server would not lift
}

// handle adds a request that is for a role.
func (m *Manager) handle(pattern string, role Role, do func(http.ResponseWriter, *http.Request) error) {
	m.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if m.cfg.Authorize != nil {
			if err := m.cfg.Authorize(r, role); err != nil {
				refuse(w, &refusal{http.StatusForbidden, fmt.Errorf("%s %s is for the role %s: %w", r.Method, clip(r.URL.Path), role, err)})
				return
			}
		}
		if r.ContentLength != 0 && r.Method != http.MethodPut {
			refuse(w, bad("%s %s has a body: must have none", r.Method, clip(r.URL.Path)))
			return
		}
		if err := do(w, r); err != nil {
			refuse(w, err)
		}
	})
}

// answerRegistered is the body of the answer to PUT.
type answerRegistered struct {
	Life         string `json:"life"`
	Revision     uint64 `json:"revision"`
	RenewAfterNS int64  `json:"renew_after_ns"`
	// Accounting is where agents tell what was used: see accounting/words.
	Accounting []Address `json:"accounting,omitempty"`
}

func (m *Manager) put(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return &refusal{http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes, which no node needs", maxBodyBytes)}
	} else if err != nil {
		return bad("the body: %w", err)
	}
	n, err := decodeNode(body)
	if err != nil {
		return bad("node %q: %w", clip(r.PathValue("id")), err)
	}
	if id := r.PathValue("id"); n.ID != id {
		return bad("id: is %q in the body and %q in the path: must be the same", n.ID, clip(id))
	}
	revision, err := m.register(n)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, encode(answerRegistered{formatLife(m.cfg.Life), revision, int64(m.cfg.TimeToLive / 3), m.cfg.Accounting}))
	return nil
}

func (m *Manager) register(n Node) (revision uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, errClosed
	}
	err = m.registry.Register(m.cfg.Clock(), n, m.cfg.TimeToLive)
	m.publish()
	return m.registry.Revision(), err
}

func (m *Manager) delete(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if err := checkID(id); err != nil {
		return err
	}
	epoch, err := number(r, "epoch")
	if err != nil {
		return err
	}
	m.mu.Lock()
	err = m.registry.Deregister(m.cfg.Clock(), id, epoch)
	m.publish()
	m.mu.Unlock()
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, []byte("{}"))
	return nil
}

func number(r *http.Request, name string) (uint64, error) {
	s := r.URL.Query().Get(name)
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, bad("%s: %q: must be a decimal number of 64 bits, as in ?%s=1", name, clip(s), name)
	}
	return n, nil
}

func (m *Manager) list(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, m.current())
	return nil
}

// current is the current snapshot. It is made once a revision, and shared.
func (m *Manager) current() []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(m.cfg.Clock())
	if m.snapshot == nil || m.snapshotAt != m.registry.Revision() {
		m.snapshot, m.snapshotAt = m.registry.snapshot(), m.registry.Revision()
	}
	return m.snapshot
}
