package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rfaas-go/rfaas/alloc/lease"
	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/executor"
	"github.com/rfaas-go/rfaas/invoke/runtime"
	"github.com/rfaas-go/rfaas/transport"
)

// worker is a worker of a lease: one process after the other, one for each attempt to connect.
type worker struct {
	agent  *Agent
	lease  *lease.Lease
	number int
	life   context.Context // ends with the lease
	end    context.CancelFunc

	// used is whether there may be processes, a.mu is its lock.
	used, barred bool

	mu      sync.Mutex // held while a process starts
	process *executor.Executor
	attempt uint32        // that it is for
	stopped *atomic.Bool  // the agent has ended it, and not it itself
	remains error         // of processes before it
	cpu     time.Duration // of processes before it
}

func newWorkers(a *Agent, l *lease.Lease) []*worker {
	workers := make([]*worker, l.Terms.Workers)
	for i := range workers {
		workers[i] = &worker{agent: a, lease: l, number: i}
	}
	return workers
}

// bar lets no more processes start, and says whether there may be some. a.mu is held.
func (w *worker) bar() (used bool) {
	w.barred = true
	if w.end != nil {
		w.end()
	}
	return w.used
}

// use says that there may be processes from now on.
func (w *worker) use() bool {
	w.agent.mu.Lock()
	defer w.agent.mu.Unlock()
	if w.barred {
		return false
	}
	if !w.used {
		w.used = true
		w.life, w.end = context.WithCancel(w.agent.life)
	}
	return true
}

// admit hands a client to the worker's process, which is started if necessary.
func (w *worker) admit(ctx context.Context, r *transport.Request, attempt uint32, url string) error {
	if !w.use() {
		_ = invoke.Refuse(r, errNoLease)
		return errNoLease
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(w.life, cancel)()
	w.mu.Lock()
	defer w.mu.Unlock()
	p, err := w.processFor(ctx, attempt, url)
	if err == nil {
		return p.Admit(ctx, r)
	}
	if w.life.Err() != nil {
		err = errNoLease
	}
	if e, ok := errors.AsType[*invoke.Error](err); ok {
		_ = invoke.Refuse(r, e)
	} else {
		_ = r.Reject(transport.Rejection{Reason: err.Error()})
	}
	return err
}

// processFor is the process of an attempt. w.mu is held.
func (w *worker) processFor(ctx context.Context, attempt uint32, url string) (*executor.Executor, error) {
	if w.life.Err() != nil {
		return nil, errNoLease
	}
	if w.process != nil {
		if attempt == w.attempt {
			return w.process, nil
		}
		if attempt < w.attempt {
			return nil, errOld
		}
		if err := w.stop(0); err != nil {
			return nil, fmt.Errorf("the worker's last process left something: %w", err)
		}
	}
	order, supervisor, err := w.order(attempt, url)
	if err != nil {
		return nil, err
	}
	if order.Page, err = w.agent.meter.page(w.lease.ID, w.number, order.Assignment.Runtime == runtime.Native, w.agent.now()); err != nil {
		return nil, fmt.Errorf("the page of the worker's accounts: %w", err)
	}
	e, err := supervisor.Start(ctx, order)
	if err != nil {
		return nil, err
	}
	w.process, w.attempt, w.stopped = e, attempt, new(atomic.Bool)
	w.agent.processes.Add(1)
	w.agent.log.Info("worker started", "lease", w.lease.ID, "worker", w.number, "process", e.PID(), "cores", e.Cores())
	stopped := w.stopped
	w.agent.ending.Go(func() { w.watch(e, attempt, stopped) })
	return e, nil
}

// order is what is wanted of a process of the worker.
func (w *worker) order(attempt uint32, url string) (executor.Order, *executor.Supervisor, error) {
	t := &w.lease.Terms
	w.agent.mu.Lock()
	p := w.agent.programs[t.Digest]
	w.agent.mu.Unlock()
	if p == nil {
		return executor.Order{}, nil, &invoke.Error{Status: invoke.StatusNotFound, Started: invoke.StartedNo, Message: "the agent does not have the code of the lease any more"}
	}
	supervisor, err := w.agent.supervisor(p)
	if err != nil {
		return executor.Order{}, nil, err
	}
	token := lease.Token{Lease: w.lease.ID, Secret: w.lease.Secret, Worker: w.number, Attempt: attempt}
	memory := p.MemoryBytes
	if t.MemoryBytes > 0 && (memory == 0 || t.MemoryBytes < memory) {
		memory = t.MemoryBytes
	}
	o := executor.Order{
		Code: p.Code, Compiled: p.Compiled,
		Assignment: executor.Assignment{
			Transport: url, Mode: modeOf(t.Spin), Runtime: p.Runtime, Functions: p.Functions,
			Slots: t.Slots, SlotBytes: t.SlotBytes, PayloadBytes: t.PayloadBytes,
			MemoryBytes: memory, TimeLimit: p.TimeLimit, StackBytes: p.StackBytes, Directories: p.Directories, Folder: p.Folder, Path: p.Path, Env: p.Env,
			Arguments: p.Arguments, Warm: p.Warm,
			Threads: len(w.lease.WorkerCores(w.number)), Token: token.Encode(),
		},
	}
	for _, core := range w.lease.WorkerCores(w.number) {
		if core != executor.AnyCore {
			o.Cores = append(o.Cores, core)
		}
	}
	return o, supervisor, nil
}

// modeOf is the mode with a polling time.
func modeOf(spin time.Duration) invoke.Mode {
	switch spin {
	case transport.Hot:
		return invoke.Hot
	case transport.Warm:
		return invoke.Warm
	}
	return invoke.Adaptive(spin)
}

// watch tells the tenant when the process of an attempt ends by itself.
func (w *worker) watch(e *executor.Executor, attempt uint32, stopped *atomic.Bool) {
	<-e.Ended()
	if w.life.Err() != nil {
		w.agent.count(func(c *counts) { c.workersEnded[lease.NoReason]++ })
		return
	}
	fate, _ := e.Fate()
	w.agent.log.Info("worker ended", "lease", w.lease.ID, "worker", w.number, "process", e.PID(), "how", fate.String())
	w.agent.with(func(n *lease.Node, _ time.Duration) {
		cause := causeOf(fate)
		n.LostWorker(w.lease.ID, w.number, attempt, e.PID(), cause, fate.String())
		if stopped.Load() {
			cause = lease.NoReason
		}
		w.agent.counts.workersEnded[cause]++
	})
}

// Process is the process of a worker, or the last one that it had, and its processors;
// 0 if it had none or there is no such lease.
func (a *Agent) Process(id lease.ID, number int) (pid int, cores []int) {
	a.mu.Lock()
	workers := a.workers[id]
	a.mu.Unlock()
	if number >= len(workers) {
		return 0, nil
	}
	w := workers[number]
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process == nil {
		return 0, nil
	}
	return w.process.PID(), w.process.Cores()
}

// causeOf is a fate's reason in the protocol.
func causeOf(f executor.Fate) lease.Reason {
	switch {
	case f.ResultBytes > 0:
		return lease.WorkerOverran
	case f.StackBytes > 0:
		return lease.WorkerOverflowed
	case f.Cause == executor.OutOfMemory:
		return lease.WorkerOutOfMemory
	case f.Cause == executor.TimedOut:
		return lease.WorkerOverstayed
	}
	return lease.WorkerDied
}

// releaseGrace is how long the process of a lease that was given back may take to end by
// itself.
const releaseGrace = 100 * time.Millisecond

// stop ends the process, and all that it has started. w.mu is held.
func (w *worker) stop(grace time.Duration) error {
	select {
	case <-w.process.Ended():
	default:
		w.stopped.Store(true)
	}
	w.process.Stop(grace)
	w.remains = errors.Join(w.remains, w.process.Remains())
	w.cpu += w.process.CPUTime()
	w.process = nil
	return w.remains
}

// fence ends the process after bar. An error says what is left.
func (w *worker) fence(grace time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process == nil {
		return w.remains
	}
	return w.stop(grace)
}

// cpuTime is the processor time of the worker's processes so far; not of one that is just
// starting.
func (w *worker) cpuTime() time.Duration {
	if !w.mu.TryLock() {
		return 0 // it grows later
	}
	defer w.mu.Unlock()
	if w.process == nil {
		return w.cpu
	}
	return w.cpu + w.process.CPUTime()
}

// cpuTime is that of several workers.
func cpuTime(workers []*worker) (sum time.Duration) {
	for _, w := range workers {
		sum += w.cpuTime()
	}
	return sum
}

// drain has the process take no more calls.
func (w *worker) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process != nil {
		_ = w.process.Drain() // an error means that it has ended
	}
}
