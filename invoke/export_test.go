package invoke

import "time"

// WithFirstID has a client begin its calls' ids with id.
func WithFirstID(cfg ClientConfig, id uint64) ClientConfig {
	cfg.firstID = &id
	return cfg
}

// WithWorkerMemoryIdle has a worker give unused memory back after d.
func WithWorkerMemoryIdle(cfg WorkerConfig, d time.Duration) WorkerConfig {
	cfg.memoryIdle = d
	return cfg
}

// WithClientMemoryIdle has a client give unused memory back after d.
func WithClientMemoryIdle(cfg ClientConfig, d time.Duration) ClientConfig {
	cfg.memoryIdle = d
	return cfg
}

// ReserveMemory takes n bytes of what the worker has for calls beyond the slots.
func (w *Worker) ReserveMemory(n int64) bool { return w.rendezvous.total.reserve(n) }

// NewCancels takes notices of a client while a call with an id runs.
func NewCancels(slots int, running uint64, canceled func(func() bool)) (notified func(msg []byte)) {
	c := &cancels{}
	c.init(make([]workerSlot, slots), canceled)
	c.slots[1].running.Store(callMark(running))
	return c.notified
}

// HeldBytes is how much memory the client has for Buffers and for calls beyond the slots.
func (c *Client) HeldBytes() int64 {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	return c.memory.held
}
