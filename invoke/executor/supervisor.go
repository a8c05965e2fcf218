package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rfaas-go/rfaas/invoke/executor/confine"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

// ThisProgram names the running program in Config.Command, even if its file was
// replaced.
const ThisProgram = "/proc/self/exe"

// Config describes a supervisor.
type Config struct {
	// Command is the program of executors with its arguments; it has to call
	// Host.Run. Default: this program, with the argument "executor".
	Command []string
	// Setup is the first command to every executor.
	Setup Setup
	// Spares is how many executors are kept ready for an assignment. Assignments with a
	// Folder or with variables for the loader (Env) do not use them; with Confine, neither
	// do those with Directories and those of programs.
	Spares int
	// Confine isolates executors before they load code. If a required measure cannot be
	// applied, no executor starts. If nil, executors are not isolated: use that only for
	// code that is trusted as this program is.
	Confine *confine.Policy
	// Output is called with each line that functions print, for at most a mebibyte per
	// executor. It may be called concurrently. If nil, output is discarded.
	Output func(OutputLine)
	// Logger gets the starts and ends of executors, and the logs of executors themselves.
	// Native code can forge the latter, so their messages begin with "executor: ", and
	// their attributes are in a group of that name. An executor logs at the level that
	// the Logger has when it starts. Logger may be nil.
	Logger *slog.Logger
}

// Supervisor starts executors. Its methods may be called concurrently.
type Supervisor struct {
	cfg  Config
	log  *slog.Logger
	host *confine.Host // nil without Config.Confine

	life   context.Context // until Close
	end    context.CancelFunc
	ending sync.WaitGroup // executors that were not reaped yet, and the keeper of spares
	keep   chan struct{}  // wakes the keeper

	mu     sync.Mutex
	closed bool
	alive  map[*Executor]struct{}
	spares []*Executor
}

// ErrClosed means that the supervisor was closed.
var ErrClosed = errors.New("executor: the supervisor was closed")

// startTimeout bounds how long an executor may take until it is ready.
const startTimeout = 30 * time.Second

// New makes a supervisor, which starts its spares. An error is about Config.Confine.
func New(cfg Config) (*Supervisor, error) {
	if len(cfg.Command) == 0 {
		cfg.Command = []string{ThisProgram, "executor"}
	}
	if cfg.Output == nil {
		cfg.Output = func(OutputLine) {}
	}
	s := &Supervisor{cfg: cfg, log: cfg.Logger, alive: map[*Executor]struct{}{}, keep: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Confine != nil {
		policy := *cfg.Confine
		policy.Verbs = policy.Verbs || slices.ContainsFunc(cfg.Setup.Transports, isVerbs)
		policy.Egress = policy.Egress || slices.ContainsFunc(cfg.Setup.Transports, isSoftroce)
		s.cfg.Confine = &policy
		var err error
		if s.host, err = confine.NewHost(confine.HostConfig{Logger: cfg.Logger}); err != nil {
			return nil, fmt.Errorf("executor: %w", err)
		}
	}
	s.life, s.end = context.WithCancel(context.Background())
	if cfg.Spares > 0 {
		s.ending.Go(s.keepSpares)
		s.keep <- struct{}{}
	}
	return s, nil
}

// Order asks for an executor.
type Order struct {
	Assignment Assignment
	// Code is what the assignment's runtime loads: a file that does not change, such
	// as one of SealedCode; nil for Go functions. It remains the caller's.
	Code *os.File
	// Compiled is the compiled form of Code, for the runtime's Loader, from a compiler that
	// the tenant may trust. If nil, the executor compiles if need be. It remains the
	// caller's.
	Compiled *os.File
	// Page is for the executor's Host.NewMeter, and may be nil. It remains the caller's.
	Page *os.File
	// Cores are the processors to run on: see On. nil for any.
	Cores []int
}

// files are the descriptors that are sent with the assignment.
func (o *Order) files() []*os.File {
	return slices.DeleteFunc([]*os.File{o.Code, o.Compiled, o.Page}, func(f *os.File) bool { return f == nil })
}

// Start gives the assignment to a spare executor, or to a new one, and returns when it
// accepts clients. The context bounds the start only. If the code cannot be loaded or
// does not have such a function, the error is an *OrderError.
func (s *Supervisor) Start(ctx context.Context, o Order) (*Executor, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if len(o.Assignment.Token) == 0 {
		o.Assignment.Token = newToken()
	}
	if err := o.Assignment.checkPlaces(); err != nil {
		return nil, err
	}
	e, err := s.assigned(ctx, o)
	if err != nil {
		return nil, err
	}
	s.log.Info("executor started", "process", e.PID(), "runtime", o.Assignment.Runtime)
	if report, ok := e.Confinement(); ok {
		s.log.Info("executor is confined", "process", e.PID(), "measures", report)
	}
	return e, nil
}

// assigned gives the assignment to a spare that is alive, or to a new executor.
func (s *Supervisor) assigned(ctx context.Context, o Order) (*Executor, error) {
	for {
		e := s.takeSpare(&o)
		spare := e != nil
		if !spare {
			var err error
			if e, err = s.prepare(ctx, o.Cores, s.policy(&o.Assignment), o.Assignment.unconfinedEnv()); err != nil {
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

// policy is the policy of an executor that is started for the assignment.
func (s *Supervisor) policy(a *Assignment) *confine.Policy {
	if s.cfg.Confine == nil {
		return nil
	}
	p := *s.cfg.Confine
	p.MemoryBytes = a.memoryLimit(p.MemoryBytes)
	p.Paths = slices.Clone(p.Paths)
	for _, d := range a.Directories {
		p.Paths = append(p.Paths, d.path(a.Runtime))
	}
	p.Folder = a.Folder
	p.Programs = p.Programs || a.Runtime == runtime.Command
	p.Env = slices.Concat(p.Env, a.loaderEnv())
	return &p
}

// prepare starts an executor without an assignment.
func (s *Supervisor) prepare(ctx context.Context, cores []int, policy *confine.Policy, env []string) (*Executor, error) {
	e, err := s.spawn(cores, policy, env)
	if err != nil {
		return nil, err
	}
	if err := e.setUp(ctx, &s.cfg.Setup); err != nil {
		e.discard()
		return nil, err
	}
	return e, nil
}

// Confinement reports how executors without an assignment are isolated: it starts one, and
// ends it. Without Config.Confine the report is empty. The context bounds the start.
func (s *Supervisor) Confinement(ctx context.Context) (confine.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	e, err := s.prepare(ctx, nil, s.cfg.Confine, nil)
	if err != nil {
		return confine.Report{}, err
	}
	defer e.discard()
	report, _ := e.Confinement()
	return report, nil
}

// Lingering is how many bytes of memory of ended executors are still in use: see
// confine.Host. 0 without Config.Confine.
func (s *Supervisor) Lingering() (int64, error) {
	if s.host == nil {
		return 0, nil
	}
	return s.host.Lingering()
}

// spawn starts the process and enters it into alive.
func (s *Supervisor) spawn(cores []int, policy *confine.Policy, env []string) (*Executor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	e, err := s.start(cores, policy, env)
	if err != nil {
		return nil, fmt.Errorf("executor: starting one: %w", err)
	}
	s.alive[e] = struct{}{}
	s.ending.Go(func() {
		<-e.ended
		if e.remains != nil {
			s.log.Warn("an executor was not cleaned up", "process", e.PID(), "reason", e.remains)
		}
		s.log.Info("executor ended", "process", e.PID(), "how", e.fate.String())
		s.mu.Lock()
		delete(s.alive, e)
		s.mu.Unlock()
	})
	return e, nil
}

// Close ends all executors, also those that are starting and the spare ones, and returns
// when their processes have ended. Each has the grace period to end by itself.
func (s *Supervisor) Close(grace time.Duration) {
	s.end() // first, so that the keeper knows why it cannot start a spare
	s.mu.Lock()
	s.closed = true
	alive := make([]*Executor, 0, len(s.alive))
	for e := range s.alive {
		alive = append(alive, e)
	}
	s.spares = nil
	s.mu.Unlock()
	for _, e := range alive {
		go e.Stop(grace)
	}
	s.ending.Wait()
	if s.host == nil {
		return
	}
	if err := s.host.Close(); err != nil {
		s.log.Warn("control groups or files of executors were not removed", "reason", err)
	}
}
