package manager

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
)

// Bounds of a registry.
const (
	maxNodes    = 1 << 14
	maxLogBytes = 16 << 20
)

// Errors of a registry, and of a Client whose manager answered with one.
var (
	// ErrLowerEpoch means that the node has registered with a higher epoch: an agent
	// that started later speaks for it.
	ErrLowerEpoch = errors.New("the node is registered with a higher epoch")
	// ErrNewSnapshot means that the changes since a revision are no longer known, or
	// that it is of another life of the manager: take a snapshot, and continue from
	// its revision.
	ErrNewSnapshot = errors.New("the changes since then are not known: take a new snapshot")
	// ErrTooManyNodes means that the registry is full.
	ErrTooManyNodes = errors.New("there are too many nodes")
)

// Kind says what a Change was.
type Kind string

// Kinds of changes.
const (
	Added    Kind = "added"    // the node was not there before
	Changed  Kind = "changed"  // something that it says of itself is different
	Draining Kind = "draining" // as Changed, and Draining has become true
	Gone     Kind = "gone"     // it deregistered, or did not renew; Node is what it was
)

// Change is one change of a registry.
type Change struct {
	// Revision is one more than that of the change before.
	Revision uint64 `json:"revision"`
	Kind     Kind   `json:"kind"`
	Node     Node   `json:"node"`

	line []byte // the change as watchers get it, encoded once
}

// Registry knows the nodes and their changes. It is a state machine without I/O and
// clock: now is the time of a monotonic clock that all calls share. Its methods are
// not to be called concurrently.
//
// A registry has the life that its maker gave it, by which clients notice that
// revisions begin again.
type Registry struct {
	life     uint64
	revision uint64
	nodes    map[string]*registration
	next     time.Duration // no registration ends before

	log         []Change // without gaps, up to revision
	logBytes    int
	maxLogBytes int
	maxNodes    int
}

type registration struct {
	node    Node
	encoded []byte // the node's JSON
	end     time.Duration
}

// NewRegistry makes an empty registry. Its life should be random, so that no two
// have the same.
func NewRegistry(life uint64) *Registry {
	return &Registry{life: life, nodes: map[string]*registration{}, next: math.MaxInt64, maxLogBytes: maxLogBytes, maxNodes: maxNodes}
}

// Life is what the registry's maker gave it.
func (r *Registry) Life() uint64 { return r.life }

// Revision counts the changes.
func (r *Registry) Revision() uint64 { return r.revision }

// Nodes returns the nodes that are known, in the order of their IDs. The list is the
// caller's.
func (r *Registry) Nodes() []Node {
	nodes := make([]Node, 0, len(r.nodes))
	for _, id := range slices.Sorted(maps.Keys(r.nodes)) {
		nodes = append(nodes, r.nodes[id].node)
	}
	return nodes
}

// Register adds a node, or renews it, for the time to live; n is copied. It is a
// change only if the node says something new. Errors are Node.Check's,
// ErrLowerEpoch and ErrTooManyNodes, and change nothing.
func (r *Registry) Register(now time.Duration, n Node, timeToLive time.Duration) error {
	r.Expire(now)
	n = n.clone()
	if err := n.Check(); err != nil {
		return err
	}
	known := r.nodes[n.ID]
	switch {
	case known == nil && len(r.nodes) >= r.maxNodes:
		return fmt.Errorf("node %s: %w: %d is the most; ask again when some have gone", n.ID, ErrTooManyNodes, r.maxNodes)
	case known != nil && n.Epoch < known.node.Epoch:
		return lowerEpoch(n.ID, n.Epoch, known.node.Epoch)
	}
	end := now + timeToLive
	r.next = min(r.next, end)
	if known != nil && known.node.equal(&n) {
		known.end = end
		return nil
	}
	kind := Changed
	switch {
	case known == nil:
		kind = Added
	case n.Draining && !known.node.Draining:
		kind = Draining
	}
	registered := &registration{node: n, encoded: encode(n), end: end}
	r.nodes[n.ID] = registered
	r.record(kind, registered)
	return nil
}

// Deregister removes a node, if it is there, that registered with this epoch or an
// earlier one. With a later one it is ErrLowerEpoch, and changes nothing.
func (r *Registry) Deregister(now time.Duration, id string, epoch uint64) error {
	r.Expire(now)
	known := r.nodes[id]
	if known == nil {
		return nil
	}
	if epoch < known.node.Epoch {
		return lowerEpoch(id, epoch, known.node.Epoch)
	}
	r.remove(known)
	return nil
}

func lowerEpoch(id string, epoch, known uint64) error {
	return fmt.Errorf("node %s, epoch %d: %w, %d: this agent should end, or have an ID of its own", id, epoch, ErrLowerEpoch, known)
}

// Expire removes the nodes whose time to live is over, and returns the time at which
// it should be called again: math.MaxInt64 if nothing can expire. Register and
// Deregister do so, too; what they result in does not depend on when it is called.
func (r *Registry) Expire(now time.Duration) (next time.Duration) {
	if now < r.next {
		return r.next
	}
	var over []*registration
	r.next = math.MaxInt64
	for _, known := range r.nodes {
		if known.end <= now {
			over = append(over, known)
		} else {
			r.next = min(r.next, known.end)
		}
	}
	slices.SortFunc(over, func(a, b *registration) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.node.ID, b.node.ID))
	})
	for _, known := range over {
		r.remove(known)
	}
	return r.next
}

func (r *Registry) remove(known *registration) {
	delete(r.nodes, known.node.ID)
	r.record(Gone, known)
}

// record appends a change to the log, and forgets the oldest beyond its bound.
func (r *Registry) record(kind Kind, of *registration) {
	r.revision++
	line := fmt.Appendf(nil, `{"revision":%d,"kind":"%s","node":%s}`+"\n", r.revision, kind, of.encoded)
	r.log = append(r.log, Change{Revision: r.revision, Kind: kind, Node: of.node, line: line})
	r.logBytes += len(line)
	for r.logBytes > r.maxLogBytes {
		r.logBytes -= len(r.log[0].line)
		r.log[0] = Change{} // append copies what is left only now and then
		r.log = r.log[1:]
	}
}

// Since returns the changes after a revision of a life; the list is the caller's.
// It is ErrNewSnapshot if some are no longer in the log, or were never there.
func (r *Registry) Since(life, revision uint64) ([]Change, error) {
	oldest := r.revision - uint64(len(r.log))
	switch {
	case life != r.life:
		return nil, fmt.Errorf("life %s: this manager's is %s: %w", formatLife(life), formatLife(r.life), ErrNewSnapshot)
	case revision < oldest || revision > r.revision:
		return nil, fmt.Errorf("revision %d: this manager has the changes after %d up to %d: %w", revision, oldest, r.revision, ErrNewSnapshot)
	}
	return slices.Clone(r.log[revision-oldest:]), nil
}

// snapshot is the answer to GET /v1/nodes: the JSON of a Snapshot.
func (r *Registry) snapshot() []byte {
	b := fmt.Appendf(nil, `{"life":"%s","revision":`, formatLife(r.life))
	b = strconv.AppendUint(b, r.revision, 10)
	b = append(b, `,"nodes":[`...)
	for i, id := range slices.Sorted(maps.Keys(r.nodes)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, r.nodes[id].encoded...)
	}
	return append(b, "]}\n"...)
}
