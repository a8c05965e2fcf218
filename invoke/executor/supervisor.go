package executor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"
)

// ThisProgram is the program that runs, as a Config's Command names it: also when
// its file has been replaced.
const ThisProgram = "/proc/self/exe"

// Config describes a supervisor.
type Config struct {
	// Command is the program that executors are, and its arguments; it has to call
	// Host.Run. Default: this program, with the argument "executor".
	Command []string
	// Setup is what all executors begin with.
	Setup Setup
	// Spares is how many executors are kept ready for an assignment.
	Spares int
	// Output gets what functions print, whole lines and no more than a mebibyte of
	// an executor's. It may be called by several goroutines at once. Default:
	// nobody.
	Output io.Writer
	// Logger is told of executors that start and end. Nobody is if it is nil.
	Logger *slog.Logger
}

// Supervisor starts executors. Its methods may be called from anywhere.
type Supervisor struct {
	cfg Config
	log *slog.Logger

	life   context.Context // until Close
	end    context.CancelFunc
	ending sync.WaitGroup // executors that were not reaped yet, and the keeper
	keep   chan struct{}  // the keeper is to look

	mu     sync.Mutex
	closed bool
	alive  map[*Executor]struct{}
	spares []*Executor
}

// ErrClosed means that the supervisor was closed.
var ErrClosed = errors.New("executor: the supervisor was closed")

// startTimeout is how long an executor may take until it is ready.
const startTimeout = 30 * time.Second

// New makes a supervisor, and has it start its spares.
func New(cfg Config) *Supervisor {
	if len(cfg.Command) == 0 {
		cfg.Command = []string{ThisProgram, "executor"}
	}
	if cfg.Output == nil {
		cfg.Output = io.Discard
	}
	s := &Supervisor{cfg: cfg, log: cfg.Logger, alive: map[*Executor]struct{}{}, keep: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.life, s.end = context.WithCancel(context.Background())
	if cfg.Spares > 0 {
		s.ending.Go(s.keepSpares)
		s.keep <- struct{}{}
	}
	return s
}

// Order is what is wanted of an executor.
type Order struct {
	Assignment Assignment
	// Code is what the assignment's runtime loads: a file that nobody changes, such
	// as one of SealedCode. It remains the caller's. nil for Go functions.
	Code *os.File
	// Core is the processor to run on, or AnyCore, as spares are.
	Core int
}

// Start has an executor take an assignment, a spare one if there is one, and
// returns when it waits for clients. The context bounds the start only. An error
// of the code's (it cannot be loaded, it has no such function) is an *OrderError.
func (s *Supervisor) Start(ctx context.Context, o Order) (*Executor, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	e, err := s.assigned(ctx, o)
	if err != nil {
		return nil, err
	}
	s.log.Info("executor started", "process", e.PID(), "runtime", o.Assignment.Runtime, "address", e.address)
	return e, nil
}

// assigned has an executor take the assignment: a spare one that lives, or a new
// one.
func (s *Supervisor) assigned(ctx context.Context, o Order) (*Executor, error) {
	for {
		e := s.takeSpare(o.Core)
		spare := e != nil
		if !spare {
			var err error
			if e, err = s.prepare(ctx, o.Core); err != nil {
				return nil, err
			}
		}
		err := e.assign(ctx, o)
		if err == nil {
			return e, nil
		}
		e.discard()
		if mistake := (*OrderError)(nil); !spare || errors.As(err, &mistake) || ctx.Err() != nil {
			return nil, err
		}
		s.log.Warn("a spare executor was lost", "process", e.PID(), "reason", err)
	}
}

// prepare starts an executor without an assignment.
func (s *Supervisor) prepare(ctx context.Context, core int) (*Executor, error) {
	e, err := s.spawn(core)
	if err != nil {
		return nil, err
	}
	if _, err := e.ask(ctx, command{Setup: &s.cfg.Setup}, nil); err != nil {
		e.discard()
		return nil, err
	}
	return e, nil
}

// spawn starts the process and enters it into the supervisor's account.
func (s *Supervisor) spawn(core int) (*Executor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	e, err := start(&s.cfg, core)
	if err != nil {
		return nil, fmt.Errorf("executor: starting one: %w", err)
	}
	s.alive[e] = struct{}{}
	s.ending.Go(func() {
		<-e.ended
		s.log.Info("executor ended", "process", e.PID(), "how", e.fate.String())
		s.mu.Lock()
		delete(s.alive, e)
		s.mu.Unlock()
	})
	return e, nil
}

// Close ends all executors, those that are starting and the spare ones, too, and
// returns when their processes are gone. Each has the grace period to end by
// itself.
func (s *Supervisor) Close(grace time.Duration) {
	s.mu.Lock()
	s.closed = true
	alive := make([]*Executor, 0, len(s.alive))
	for e := range s.alive {
		alive = append(alive, e)
	}
	s.spares = nil
	s.mu.Unlock()
	s.end()
	for _, e := range alive {
		go e.Stop(grace)
	}
	s.ending.Wait()
}
