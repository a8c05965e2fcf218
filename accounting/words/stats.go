package words

// Agents is how many agents are connected. Any goroutine may call it.
func (s *Server) Agents() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.agents)
}
