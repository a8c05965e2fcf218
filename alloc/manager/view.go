package manager

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// View is what a client knows of the nodes; Client.Watch keeps it up to date. The
// zero View knows nothing yet. Any goroutine may call its methods, which do not wait
// for the network.
type View struct {
	mu       sync.RWMutex
	known    bool // life and revision are where a watch can continue
	life     string
	revision uint64
	nodes    map[string]Node
	current  bool
	since    time.Time // not current since
	why      error
	changed  chan struct{} // nil if it was not asked for
}

var errNothingYet = errors.New("manager: no watch has begun yet")

// Node returns the node with the ID, if it is known.
func (v *View) Node(id string) (Node, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	n, ok := v.nodes[id]
	return n, ok
}

// Nodes returns the nodes that are known, in the order of their IDs. The list is the
// caller's.
func (v *View) Nodes() []Node {
	v.mu.RLock()
	defer v.mu.RUnlock()
	nodes := make([]Node, 0, len(v.nodes))
	for _, id := range slices.Sorted(maps.Keys(v.nodes)) {
		nodes = append(nodes, v.nodes[id])
	}
	return nodes
}

// Stale says since when the view may lag behind the manager, and why: because there
// is no connection. The error is nil if it does not. Until the first snapshot there
// are no nodes, and since is when a watch first failed, or zero.
func (v *View) Stale() (since time.Time, why error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	switch {
	case v.current:
		return time.Time{}, nil
	case v.why == nil:
		return v.since, errNothingYet
	}
	return v.since, v.why
}

// Changed returns a channel that is closed when the nodes or Stale change next. Ask
// for it first, then look, then wait: nothing is missed.
func (v *View) Changed() <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.changed == nil {
		v.changed = make(chan struct{})
	}
	return v.changed
}

// update changes the view, and closes changed if it did.
func (v *View) update(change func() (changed bool, err error)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	changed, err := change()
	if changed && v.changed != nil {
		close(v.changed)
		v.changed = nil
	}
	return err
}

// position is from where a watch can continue.
func (v *View) position() (life string, revision uint64, ok bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.life, v.revision, v.known
}

func (v *View) replace(s Snapshot) {
	nodes := make(map[string]Node, len(s.Nodes))
	for _, n := range s.Nodes {
		nodes[n.ID] = n
	}
	_ = v.update(func() (bool, error) {
		v.known, v.life, v.revision, v.nodes = true, s.Life, s.Revision, nodes
		return true, nil
	})
}

// apply does what a line of the stream says. The revisions of changes have no gaps,
// and a heartbeat repeats that of the last change: everything else is ErrNewSnapshot.
func (v *View) apply(c Change) error {
	return v.update(func() (bool, error) {
		want := v.revision + 1
		if c.Kind == "" {
			want = v.revision
		}
		if c.Revision != want {
			return false, fmt.Errorf("manager: revision %d where there should be %d: %w", c.Revision, want, ErrNewSnapshot)
		}
		v.revision = want
		switch c.Kind {
		case "":
			was := v.current
			v.current, v.why = true, nil
			return !was, nil
		case Gone:
			delete(v.nodes, c.Node.ID)
		default:
			v.nodes[c.Node.ID] = c.Node
		}
		return true, nil
	})
}

// lose makes the view stale.
func (v *View) lose(why error) {
	_ = v.update(func() (bool, error) {
		if v.current || v.since.IsZero() {
			v.since = time.Now()
		}
		v.current, v.why = false, why
		if errors.Is(why, ErrNewSnapshot) {
			v.known = false
		}
		return true, nil
	})
}
