package manager

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// model is a registry as slow and obvious as can be: the oracle of the real one.
type model struct {
	nodes map[string]Node
	ends  map[string]time.Duration
	log   []string // what changed, as text, from revision 1 on
}

func (m *model) record(kind Kind, n Node) {
	m.log = append(m.log, fmt.Sprintf("%s %s", kind, encode(n)))
}

func (m *model) expire(now time.Duration) {
	ids := slices.SortedFunc(maps.Keys(m.nodes), func(a, b string) int {
		return cmp.Or(cmp.Compare(m.ends[a], m.ends[b]), strings.Compare(a, b))
	})
	for _, id := range ids {
		if m.ends[id] <= now {
			m.remove(id)
		}
	}
}

func (m *model) remove(id string) {
	m.record(Gone, m.nodes[id])
	delete(m.nodes, id)
	delete(m.ends, id)
}

func (m *model) register(now time.Duration, n Node, timeToLive time.Duration) (ok bool) {
	m.expire(now)
	was, known := m.nodes[n.ID]
	if known && n.Epoch < was.Epoch {
		return false
	}
	m.nodes[n.ID], m.ends[n.ID] = n, now+timeToLive
	switch {
	case !known:
		m.record(Added, n)
	case n.Draining && !was.Draining:
		m.record(Draining, n)
	case string(encode(n)) != string(encode(was)):
		m.record(Changed, n)
	}
	return true
}

func (m *model) deregister(now time.Duration, id string, epoch uint64) (ok bool) {
	m.expire(now)
	if was, known := m.nodes[id]; known {
		if was.Epoch > epoch {
			return false
		}
		m.remove(id)
	}
	return true
}

func (m *model) nodesByID() []Node {
	nodes := []Node{}
	for _, id := range slices.Sorted(maps.Keys(m.nodes)) {
		nodes = append(nodes, m.nodes[id])
	}
	return nodes
}

// random is a node that Check lets through, out of few enough that they repeat.
func random(r *rand.Rand) Node {
	n := testNode("n"+strconv.Itoa(r.IntN(6)), uint64(1+r.IntN(3)))
	n.FreeCores = r.IntN(3)
	n.Draining = r.IntN(3) == 0
	if r.IntN(2) == 0 {
		n.Labels = map[string]string{"zone": strconv.Itoa(r.IntN(2)), "<&>": "x"}
	}
	return n
}

// Whatever nodes do, the registry knows what the model knows, and its log is the
// model's.
func TestRegistryIsItsModel(t *testing.T) {
	t.Parallel()
	for range 20 {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		m := &model{nodes: map[string]Node{}, ends: map[string]time.Duration{}}
		g := NewRegistry(7)
		g.maxLogBytes = 4000
		now := time.Duration(0)
		for step := range 400 {
			say := fmt.Sprintf("seed %d, step %d", seed, step)
			now += time.Duration(r.IntN(4))
			switch r.IntN(5) {
			case 0:
				n := random(r)
				require.Equal(t, m.deregister(now, n.ID, n.Epoch), g.Deregister(now, n.ID, n.Epoch) == nil, say)
			case 1:
				m.expire(now)
				next := g.Expire(now)
				require.Greater(t, next, now, say)
				for _, end := range m.ends {
					require.LessOrEqual(t, next, end, say)
				}
			default:
				n, timeToLive := random(r), time.Duration(1+r.IntN(20))
				err := g.Register(now, n, timeToLive)
				if m.register(now, n, timeToLive) {
					require.NoError(t, err, say)
				} else {
					require.ErrorIs(t, err, ErrLowerEpoch, say)
				}
			}
			require.Equal(t, m.nodesByID(), g.Nodes(), say)
			require.EqualValues(t, len(m.log), g.Revision(), say)
			requireLog(t, m, g, uint64(r.IntN(len(m.log)+1)), say)
		}
	}
}

// requireLog has the registry tell all after a revision, or nothing.
func requireLog(t *testing.T, m *model, g *Registry, after uint64, say string) {
	t.Helper()
	require.LessOrEqual(t, g.logBytes, g.maxLogBytes, say)
	changes, err := g.Since(7, after)
	if err != nil {
		require.ErrorIs(t, err, ErrNewSnapshot, say)
		require.Greater(t, len(m.log)-int(after), 5, say) // the log has room for more
		return
	}
	require.Len(t, changes, len(m.log)-int(after), say)
	for i, c := range changes {
		require.Equal(t, after+1+uint64(i), c.Revision, say)
		require.Equal(t, m.log[c.Revision-1], fmt.Sprintf("%s %s", c.Kind, encode(c.Node)), say)
		decoded, err := decodeLine(c.line)
		require.NoError(t, err, say)
		c.line = nil
		require.Equal(t, c, decoded, say)
	}
}

func TestSinceNeedsNewSnapshot(t *testing.T) {
	t.Parallel()
	g := NewRegistry(7)
	require.NoError(t, g.Register(0, testNode("a", 1), time.Second))
	for _, at := range []struct{ life, revision uint64 }{{8, 0}, {8, 1}, {7, 2}, {7, math.MaxUint64}} {
		_, err := g.Since(at.life, at.revision)
		require.ErrorIs(t, err, ErrNewSnapshot, at)
	}
	require.Empty(t, must(g.Since(7, 1)))
}

func TestRegistryIsBounded(t *testing.T) {
	t.Parallel()
	g := NewRegistry(7)
	g.maxNodes = 2
	for _, id := range []string{"a", "b", "a"} {
		require.NoError(t, g.Register(0, testNode(id, 1), time.Second))
	}
	require.ErrorIs(t, g.Register(0, testNode("c", 1), time.Second), ErrTooManyNodes)
	require.NoError(t, g.Register(time.Second, testNode("c", 1), time.Second), "the others have expired")
}

// What a caller does with a node that it registered changes nothing.
func TestRegisterCopies(t *testing.T) {
	t.Parallel()
	g, n := NewRegistry(7), testNode("a", 1)
	n.Labels = map[string]string{"x": "1"}
	require.NoError(t, g.Register(0, n, time.Second))
	n.Labels["x"], n.Addresses[0].Address = "2", "/tmp/other"
	require.Equal(t, "1", g.Nodes()[0].Labels["x"])
	require.Equal(t, "/run/a", g.Nodes()[0].Addresses[0].Address)
}
