package manager

// Stats sums up a registry or a manager.
type Stats struct {
	// Revision counts the changes of the registry's life.
	Revision uint64
	// Nodes is how many there are, Draining how many of them grant no more leases.
	Nodes, Draining int
	// Cores and MemoryBytes are what the nodes lease, those that are draining too;
	// FreeCores and FreeBytes what of it is free.
	Cores, FreeCores       int
	MemoryBytes, FreeBytes int64
	// Watchers is how many watches there are: 0 from a Registry, which has none.
	Watchers int
}

// Stats sums up the nodes that are known. It takes time for each.
func (r *Registry) Stats() Stats {
	s := Stats{Revision: r.revision, Nodes: len(r.nodes)}
	for _, known := range r.nodes {
		n := &known.node
		if n.Draining {
			s.Draining++
		}
		s.Cores += n.Cores
		s.FreeCores += n.FreeCores
		s.MemoryBytes += n.MemoryBytes
		s.FreeBytes += n.FreeBytes
	}
	return s
}

// Stats sums up the current nodes and watches.
func (m *Manager) Stats() Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expire(m.cfg.Clock())
	s := m.registry.Stats()
	s.Watchers = len(m.watchers)
	return s
}

// Registered reports whether the manager has answered Keep's last registration, and
// Keep has not ended.
func (c *Client) Registered() bool { return c.registered.Load() }
