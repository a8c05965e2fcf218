// Package agent starts executors, processes of this program that execute
// functions, hands out their addresses, and notices at once when one ends.
//
// # Between agent and executor
//
// An executor is this program again, with arguments of the agent's choice. Its
// standard output is for one line: "ready ADDRESS", the address of a Unix socket
// on which it waits for clients, or "failed REASON". Its standard input carries
// nothing; its end asks the executor to end. Its standard error is passed on.
//
// No executor outlives the agent's process, however that ends: the kernel kills
// it (PR_SET_PDEATHSIG), and its standard input ends.
package agent

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// Config describes an agent.
type Config struct {
	// Args are an executor's arguments, without the program's name.
	Args []string
	// Stderr gets what executors write to their standard error. It may be called
	// by several goroutines at once.
	Stderr io.Writer
}

// Agent starts executors. Its methods may be called from anywhere.
type Agent struct {
	cfg Config

	mu     sync.Mutex
	closed bool
	alive  map[*Executor]struct{}
	ending sync.WaitGroup // executors that were not reaped yet
}

// New makes an agent without executors.
func New(cfg Config) *Agent {
	return &Agent{cfg: cfg, alive: map[*Executor]struct{}{}}
}

// ErrClosed means that the agent was closed.
var ErrClosed = errors.New("the agent was closed")

// startTimeout is how long an executor may take until it is ready.
const startTimeout = 30 * time.Second

// Start starts an executor on a processor, or on any for AnyCore, and returns
// when it waits for clients. The context bounds the start only.
func (a *Agent) Start(ctx context.Context, core int) (*Executor, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	e, err := a.spawn(core)
	if err != nil {
		return nil, err
	}
	if e.address, err = e.awaitReady(ctx); err != nil {
		e.Kill()
		<-e.ended
		return nil, err
	}
	return e, nil
}

// spawn starts the process and enters it into the agent's account.
func (a *Agent) spawn(core int) (*Executor, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrClosed
	}
	e, err := start(a.cfg, core)
	if err != nil {
		return nil, err
	}
	a.alive[e] = struct{}{}
	a.ending.Go(func() {
		<-e.ended
		a.mu.Lock()
		delete(a.alive, e)
		a.mu.Unlock()
	})
	return e, nil
}

// Close ends all executors, those that are starting too, and returns when their
// processes are gone. Each has the grace period to end by itself.
func (a *Agent) Close(grace time.Duration) {
	a.mu.Lock()
	a.closed = true
	alive := make([]*Executor, 0, len(a.alive))
	for e := range a.alive {
		alive = append(alive, e)
	}
	a.mu.Unlock()
	for _, e := range alive {
		go e.Stop(grace)
	}
	a.ending.Wait()
}
