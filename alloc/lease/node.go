package lease

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Session is a connection of a tenant, by a number that the driver chooses.
type Session uint64

// NodeConfig describes what an agent has to give.
type NodeConfig struct {
	Epoch uint64 // of this start of the agent: larger than those before
	// Cores are what workers get, by processor; the same number may be there more than
	// once if it stands for no processor in particular.
	Cores       []int
	MemoryBytes int64
	// Overhead is what the platform needs of memory for a worker, beside its code. May be
	// nil.
	Overhead func(*Terms) int64
	MaxLife  time.Duration // of a lease, and of a renewal: 1 minute if 0
	Notice   time.Duration // what a lease has left when it is revoked: 5 s if 0
	// Quota is what a tenant may have at once here; the zero Capacity stands for all there
	// is. May be nil.
	Quota func(tenant string) Capacity
	// Secret makes the secret of a lease.
	Secret func() Secret
}

// minLife is the shortest life of a lease: renewals have to have time to arrive.
const minLife = 100 * time.Millisecond

// State is that of a lease at its node.
type State uint8

// The states.
const (
	Granted State = iota
	Noticed       // draining
	Fencing
)

var stateNames = []string{"granted", "draining", "fencing"}

// String is the state's name.
func (s State) String() string { return stateNames[s] }

// Lease is a lease at its node. It belongs to the Node: a driver reads what does not
// change (all but State, Expires and the reason).
type Lease struct {
	ID      ID
	Tenant  string
	Secret  Secret
	Terms   Terms
	Cores   []int // Terms.Cores for each worker, one worker's after the other's
	Begun   time.Duration
	Memory  int64 // of all, the platform's included
	State   State
	Expires time.Duration // or when the notice is over

	session Session // that gets the messages about it; 0: none
	reason  Reason  // of the end or of the notice
	text    string
}

// Reason is why the lease ends.
func (l *Lease) Reason() Reason { return l.reason }

// WorkerCores are the cores of a worker.
func (l *Lease) WorkerCores(worker int) []int {
	return l.Cores[worker*l.Terms.Cores : (worker+1)*l.Terms.Cores]
}

// Do says what a driver is to do.
type Do uint8

// The actions.
const (
	DoSend  Do = iota // Message to Session
	DoBegin           // Lease is granted: let its tenant to its workers
	DoDrain           // its workers take no more calls
	DoFence           // end its processes; then call Fenced
	DoFind            // is Message.Terms.Digest there? Call Found
	DoPull            // read a Piece, and call Pulled
)

// Action is something that a Node wants done.
type Action struct {
	Do      Do
	Session Session
	Message Message
	Lease   *Lease
}

// Node is the agent's side. It is not safe for concurrent use. Actions collect what
// a call wants done; the driver takes them after each call.
type Node struct {
	cfg       NodeConfig
	free      []int // cores
	memory    int64 // free, but for lingering
	lingering int64 // of ended leases, and in use still
	withheld  int   // cores that the owner wants, and which are not free yet
	kept      []int // cores that the owner has
	draining  bool
	count     uint64 // of leases

	sessions map[Session]string // the tenant
	leases   map[ID]*Lease
	tenants  map[string]Capacity // in use
	codes    map[digest]*code
	next     time.Duration // when Tick has something to do at the earliest
	actions  []Action
}

type digest = [32]byte

// NewNode makes a node with all of its stock.
func NewNode(cfg NodeConfig) *Node {
	if cfg.MaxLife == 0 {
		cfg.MaxLife = time.Minute
	}
	if cfg.Notice == 0 {
		cfg.Notice = 5 * time.Second
	}
	if cfg.Overhead == nil {
		cfg.Overhead = func(*Terms) int64 { return 0 }
	}
	if cfg.Quota == nil {
		cfg.Quota = func(string) Capacity { return Capacity{} }
	}
	return &Node{
		cfg: cfg, free: slices.Clone(cfg.Cores), memory: cfg.MemoryBytes, next: never,
		sessions: map[Session]string{}, leases: map[ID]*Lease{}, tenants: map[string]Capacity{}, codes: map[digest]*code{},
	}
}

// never is later than any time.
const never = time.Duration(1<<63 - 1)

// Free is what there is for new leases.
func (n *Node) Free() Capacity {
	if n.draining {
		return Capacity{}
	}
	return Capacity{len(n.free), max(n.memory-n.lingering, 0)}
}

// Draining says whether the node gives no more leases.
func (n *Node) Draining() bool { return n.draining }

// Lease is the lease of an ID, nil if there is none, or none any more.
func (n *Node) Lease(id ID) *Lease { return n.leases[id] }

// Leases are all, those that are being fenced too, by ID.
func (n *Node) Leases() []*Lease {
	return slices.SortedFunc(maps.Values(n.leases), func(a, b *Lease) int { return cmp.Compare(a.ID, b.ID) })
}

// Actions takes what is to be done, appended to buf.
func (n *Node) Actions(buf []Action) []Action {
	buf = append(buf, n.actions...)
	clear(n.actions)
	n.actions = n.actions[:0]
	return buf
}

func (n *Node) do(a Action) { n.actions = append(n.actions, a) }

func (n *Node) send(s Session, m Message) {
	if s != 0 {
		n.do(Action{Do: DoSend, Session: s, Message: m})
	}
}

// Connect notes a connection of a tenant. Its number has to be new, and not 0.
func (n *Node) Connect(s Session, tenant string) {
	n.sessions[s] = tenant
	if n.draining {
		n.send(s, Message{Kind: Draining})
	}
}

// Disconnect notes the end of a connection. The leases live on.
func (n *Node) Disconnect(s Session) {
	delete(n.sessions, s)
	for _, l := range n.leases {
		if l.session == s {
			l.session = 0
		}
	}
	for d, c := range n.codes {
		if c.state == codeSending && c.sender == s {
			delete(n.codes, d)
		}
	}
}

// Receive takes a message. An error is the peer's fault: end the connection.
func (n *Node) Receive(now time.Duration, s Session, m *Message) error {
	tenant, ok := n.sessions[s]
	if !ok {
		return nil // it has gone
	}
	switch m.Kind {
	case Request:
		n.request(now, s, tenant, m)
	case Piece:
		n.piece(now, s, m)
	case Renew:
		n.renew(now, s, tenant, m)
	case Release:
		if l := n.held(s, tenant, m); l != nil {
			n.end(l, Released, "")
		}
	default:
		return fmt.Errorf("lease: a client sent a message for clients: %v", m.Kind)
	}
	return nil
}

// request grants or refuses.
func (n *Node) request(now time.Duration, s Session, tenant string, m *Message) {
	refuse := func(r Reason, after time.Duration, text string) {
		n.send(s, Message{Kind: Refusal, Number: m.Number, Reason: r, Life: after, Free: n.Free(), Text: text})
	}
	t := &m.Terms
	if err := t.Check(); err != nil {
		refuse(Malformed, 0, err.Error())
		return
	}
	cores := t.Workers * t.Cores
	each := t.MemoryBytes + n.cfg.Overhead(t)
	memory := each * int64(t.Workers)
	most := n.cfg.MemoryBytes
	switch {
	case n.draining:
		refuse(NodeDraining, 0, "")
		return
	case cores > len(n.cfg.Cores) || each > most/int64(t.Workers):
		refuse(TooMuch, 0, fmt.Sprintf("it has %v, and %v are wanted", Capacity{len(n.cfg.Cores), most}, Capacity{cores, memory}))
		return
	}
	used, quota := n.tenants[tenant], n.cfg.Quota(tenant)
	switch {
	case quota.Cores > 0 && used.Cores+cores > quota.Cores:
		refuse(OverQuota, n.soon(now), fmt.Sprintf("it is %d of the node's cores, of which %d are in use", quota.Cores, used.Cores))
		return
	case quota.MemoryBytes > 0 && used.MemoryBytes+memory > quota.MemoryBytes:
		refuse(OverQuota, n.soon(now), fmt.Sprintf("it is %d MiB of the node's memory, of which %d MiB are in use", quota.MemoryBytes>>20, used.MemoryBytes>>20))
		return
	case cores > len(n.free):
		refuse(NoCores, n.soon(now), "")
		return
	case memory > n.Free().MemoryBytes:
		refuse(NoMemory, n.soon(now), "")
		return
	}
	if !n.haveCode(now, s, m) {
		return
	}
	n.count++
	l := &Lease{
		ID: NewID(n.cfg.Epoch, n.count), Tenant: tenant, Secret: n.cfg.Secret(), Terms: *t, Begun: now, Memory: memory,
		Cores: slices.Clone(n.free[:cores]), session: s,
	}
	n.free = slices.Delete(n.free, 0, cores)
	n.memory -= memory
	n.tenants[tenant] = Capacity{used.Cores + cores, used.MemoryBytes + memory}
	n.leases[l.ID] = l
	life := n.life(m.Life)
	n.expire(l, now+life)
	n.do(Action{Do: DoBegin, Lease: l})
	n.send(s, Message{Kind: Grant, Number: m.Number, Lease: l.ID, Secret: l.Secret, Life: life})
}

// life is what is granted of a wished one.
func (n *Node) life(wanted time.Duration) time.Duration {
	return min(max(wanted, minLife), n.cfg.MaxLife)
}

// soon is when something may be free: when the next lease expires, at the latest.
func (n *Node) soon(now time.Duration) time.Duration {
	const least, most = time.Millisecond, time.Second
	first := never
	for _, l := range n.leases {
		first = min(first, l.Expires)
	}
	return min(max(first-now, least), most)
}

func (n *Node) expire(l *Lease, at time.Duration) {
	l.Expires = at
	n.next = min(n.next, at)
}

// held is the lease of a message, if it is its tenant's; otherwise the peer gets an error.
func (n *Node) held(s Session, tenant string, m *Message) *Lease {
	l := n.leases[m.Lease]
	if l == nil || l.Tenant != tenant || l.Secret != m.Secret || l.State == Fencing {
		r := Unknown
		if l != nil && l.Tenant == tenant && l.Secret == m.Secret {
			r = l.reason
		}
		n.send(s, Message{Kind: Ended, Lease: m.Lease, Number: m.Number, Reason: r})
		return nil
	}
	l.session = s
	return l
}

// renew extends a lease, unless there was a notice.
func (n *Node) renew(now time.Duration, s Session, tenant string, m *Message) {
	l := n.held(s, tenant, m)
	switch {
	case l == nil:
	case l.State == Noticed:
		n.send(s, Message{Kind: Notice, Lease: l.ID, Reason: l.reason, Life: max(l.Expires-now, 0), Text: l.text})
	default:
		life := n.life(m.Life)
		n.expire(l, max(l.Expires, now+life))
		n.send(s, Message{Kind: Renewed, Number: m.Number, Lease: l.ID, Life: life})
	}
}

// end begins the fence of a lease.
func (n *Node) end(l *Lease, why Reason, text string) {
	l.State, l.reason, l.text = Fencing, why, text
	n.do(Action{Do: DoFence, Lease: l})
}

// Fenced notes that nothing of a lease runs any more. Its cores and its memory, but for
// what is Lingering, are stock again, and its tenant is notified of the end and the cost:
// see Message.Usage.
func (n *Node) Fenced(id ID, usage [UsageWords]uint64, claimed bool) {
	l := n.leases[id]
	if l == nil || l.State != Fencing {
		return
	}
	delete(n.leases, id)
	n.free = append(n.free, l.Cores...)
	n.memory += l.Memory
	used := n.tenants[l.Tenant]
	used.Cores -= len(l.Cores)
	used.MemoryBytes -= l.Memory
	if n.tenants[l.Tenant] = used; used == (Capacity{}) {
		delete(n.tenants, l.Tenant)
	}
	n.withhold()
	n.send(l.session, Message{Kind: Ended, Lease: id, Reason: l.reason, Usage: usage, Claimed: claimed, Text: l.text})
}

// Lingering notes how much memory of all ended leases is still in use, because clients have
// it mapped. It is not granted meanwhile.
func (n *Node) Lingering(bytes int64) { n.lingering = bytes }

// LostWorker tells a lease's tenant that the process of a worker's attempt has ended.
func (n *Node) LostWorker(id ID, worker int, attempt uint32, process int, why Reason, how string) {
	if l := n.leases[id]; l != nil && l.State != Fencing {
		n.send(l.session, Message{Kind: Lost, Lease: id, Worker: worker, Number: attempt, Process: process, Reason: why, Text: how})
	}
}

// Tick does what is due, and says when there is something next.
func (n *Node) Tick(now time.Duration) (next time.Duration) {
	if now < n.next {
		return n.next
	}
	n.next = never
	for _, l := range n.Leases() {
		switch {
		case l.State == Fencing:
		case l.Expires > now:
			n.next = min(n.next, l.Expires)
		case l.State == Noticed:
			n.end(l, l.reason, l.text)
		default:
			n.end(l, Expired, "")
		}
	}
	n.next = min(n.next, n.codesDue(now))
	return n.next
}
