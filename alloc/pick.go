package alloc

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// candidate is a node that may be asked, and what is known of it.
type candidate struct {
	node *node
	free int // cores
	room int // workers that these are enough for
	ours int // workers of the pool that it has already
}

// candidates are the nodes to ask in a round, the best first. A manager's word that a node
// is full may be old: when others have room it is not needed, and when they refuse two are
// enough, as the manager tells when there is room again. full is how many more there are,
// never the errors of those that refuse permanently.
func (s *search) candidates(workers int) (all []candidate, full int, never []error) {
	o, c, ours := &s.pool.order, s.pool.owner, s.pool.nodes()
	for _, n := range c.all() {
		if !n.suits(o) {
			continue
		}
		if why := s.refusedForGood(n); why != nil {
			never = append(never, why)
			continue
		}
		free := n.known().Cores
		all = append(all, candidate{n, free, free / o.Cores, ours[n]})
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if c.told() {
		slices.SortStableFunc(all, func(a, b candidate) int { // those with room first
			return cmp.Compare(min(b.room, 1), min(a.room, 1))
		})
		roomy := slices.IndexFunc(all, func(a candidate) bool { return a.room == 0 })
		if most := roomy + mostFull; roomy >= 0 && most < len(all) {
			slices.SortStableFunc(all[roomy:], func(a, b candidate) int { return cmp.Compare(b.free, a.free) })
			all, full = all[:most], len(all)-most
		}
	}
	if workers > 1 {
		slices.SortStableFunc(all, o.compare)
	} else if len(all) > 1 && o.compare(all[1], all[0]) < 0 {
		all[0], all[1] = all[1], all[0]
	}
	return all, full, never
}

// mostFull is how many nodes are asked in a round that are full, as the manager says.
const mostFull = 2

// told says whether the manager tells what is free.
func (c *Client) told() bool {
	if c.view == nil {
		return false
	}
	_, stale := c.view.Stale()
	return stale == nil
}

// compare is negative if a is to be asked before b.
func (o *Order) compare(a, b candidate) int {
	if d := cmp.Compare(min(b.room, 1), min(a.room, 1)); d != 0 {
		return d
	}
	d := cmp.Or(cmp.Compare(a.ours, b.ours), cmp.Compare(b.free, a.free))
	if o.Pack {
		return -d
	}
	return d
}

// share is how many workers a node is asked for.
type share struct {
	node    *node
	workers int
}

// sideBySide is how many nodes are asked at once.
const sideBySide = 16

// shares are what to ask of the first ones of some candidates, all at once: no more than
// the workers that are wanted. They are spread as evenly as the room is known to allow, or
// packed.
func (o *Order) shares(all []candidate, workers int) []share {
	if workers == 1 || len(all) == 1 || o.Pack && all[0].room == 0 {
		first := all[0]
		if first.room > 0 {
			workers = min(workers, first.room)
		}
		return []share{{first.node, workers}}
	}
	even := (workers + len(all) - 1) / len(all)
	all = all[:min(len(all), sideBySide, workers)]
	out := make([]share, len(all))
	for i := range all {
		out[i].node = all[i].node
	}
	switch {
	case all[0].room == 0: // nothing is known
		for i := range out {
			out[i].workers = min(even, workers)
			workers -= out[i].workers
		}
	case o.Pack:
		for i, c := range all {
			out[i].workers = min(c.room, workers)
			workers -= out[i].workers
		}
	default:
		for workers > 0 && o.one(all, out) {
			workers--
		}
	}
	if none := slices.IndexFunc(out, func(s share) bool { return s.workers == 0 }); none >= 0 {
		out = out[:none]
	}
	return out
}

// one gives a worker more to the node with room that has the fewest, if there is one.
func (o *Order) one(all []candidate, out []share) bool {
	best := -1
	for i, c := range all {
		if out[i].workers < c.room && (best < 0 || c.ours+out[i].workers < all[best].ours+out[best].workers) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	out[best].workers++
	return true
}

// suits says whether a node may be asked.
func (n *node) suits(o *Order) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.look()
	for name, value := range o.Labels {
		if got, ok := n.labels[name]; !ok || got != value {
			return false
		}
	}
	return !n.away && !n.draining
}
