package wasm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tetratelabs/wazero"

	"github.com/rfaas-go/rfaas/invoke"
	"github.com/rfaas-go/rfaas/invoke/runtime"
)

var (
	_ runtime.Module         = (*Module)(nil)
	_ runtime.ContextChecker = (*Module)(nil)
)

// Module is a compiled module and its instances. All methods and the functions may be called
// concurrently: each call has an instance of its own. Calls of any functions of a module that
// do not overlap share one.
type Module struct {
	config   Config
	cache    wazero.CompilationCache // nil without a folder for it
	runtime  wazero.Runtime
	compiled wazero.CompiledModule
	entries  []string   // sorted
	roots    []*os.Root // of config.Directories

	interpreted bool
	isCommand   bool // a program: entries has only its start

	current atomic.Pointer[instance] // calls try it first
	dog     watchdog

	lost      atomic.Uint64 // bytes of output
	outputLck sync.Mutex

	mu     sync.Mutex
	all    []*instance // in use by calls, or used before
	spares []*instance // ready, never used
	making int         // instances being made for waiting calls
	refill bool        // a goroutine makes spares
	work   sync.WaitGroup
	closed bool
}

// errClosed is the error of calls after Close.
var errClosed = &invoke.Error{Status: invoke.StatusRevoked, Started: invoke.StartedNo, Message: "the module was closed"}

// begin prepares the first instance, and starts making spares.
func (m *Module) begin(ctx context.Context) error {
	m.dog.init(m)
	i, err := m.instantiate(ctx)
	if err != nil {
		return fmt.Errorf("wasm: %s: prepare an instance: %w", m.config.Name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.config.Fresh {
		m.spares = append(m.spares, i)
	} else {
		m.adopt(i)
		i.state.Store(phaseIdle)
	}
	m.replenish()
	return nil
}

// Entries returns the names of the entry points, sorted.
func (m *Module) Entries() []string { return slices.Clone(m.entries) }

// OutputLost returns how many bytes of output were dropped as beyond the limit of their call.
func (m *Module) OutputLost() uint64 { return m.lost.Load() }

// Function makes an entry point callable until Close. See the package's documentation for
// the statuses of calls.
func (m *Module) Function(entry string) (invoke.Function, error) {
	index, ok := slices.BinarySearch(m.entries, entry)
	if !ok {
		return nil, fmt.Errorf("wasm: %s: there is no entry point %q; there are: %s", m.config.Name, entry, strings.Join(m.entries, ", "))
	}
	if m.isCommand {
		return m.command, nil
	}
	return func(ctx context.Context, in, out []byte) (int, error) {
		i := m.current.Load()
		if i == nil || !i.take() {
			var err error
			if i, err = m.acquire(ctx); err != nil {
				return 0, err
			}
		}
		return i.call(ctx, index, in, out)
	}, nil
}

// acquire returns an idle instance, or makes one.
func (m *Module) acquire(ctx context.Context) (*instance, error) {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil, errClosed
	}
	for _, i := range m.all {
		if i.take() {
			m.mu.Unlock()
			return i, nil
		}
	}
	if n := len(m.all) + m.making; n >= m.config.Instances {
		m.mu.Unlock()
		return nil, &invoke.Error{Status: invoke.StatusBusy, Started: invoke.StartedNo,
			Message: fmt.Sprintf("all %d instances of the module are in use", n)}
	}
	if n := len(m.spares); n > 0 {
		i := m.spares[n-1]
		m.spares = m.spares[:n-1]
		m.adopt(i)
		m.replenish()
		m.mu.Unlock()
		return i, nil
	}
	m.making++
	m.work.Add(1)
	defer m.work.Done()
	m.mu.Unlock()
	i, err := m.instantiate(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.making--
	if err != nil {
		return nil, err
	}
	m.adopt(i)
	m.replenish()
	return i, nil
}

// adopt enters an instance into all. Unless each call has one of its own, it becomes the
// current one if there is none. mu is held.
func (m *Module) adopt(i *instance) {
	m.all = append(m.all, i)
	if !m.config.Fresh {
		m.current.CompareAndSwap(nil, i)
	}
}

// replenish starts making spares if there are too few. mu is held.
func (m *Module) replenish() {
	if m.refill || m.closed || len(m.spares) >= m.config.Spares {
		return
	}
	m.refill = true
	m.work.Add(1)
	go m.makeSpares()
}

func (m *Module) makeSpares() {
	defer m.work.Done()
	m.mu.Lock()
	defer m.mu.Unlock()
	for !m.closed && len(m.spares) < m.config.Spares {
		m.mu.Unlock()
		i, err := m.instantiate(context.Background())
		m.mu.Lock()
		if err != nil {
			slog.Warn("no instance of a WebAssembly module could be made ahead; calls try again", "module", m.config.Name, "error", err)
			break
		}
		m.spares = append(m.spares, i)
	}
	m.refill = false
}

// discard removes an instance that trapped, or whose only call has returned. The caller owns
// it.
func (m *Module) discard(i *instance) {
	i.state.Store(phaseDead)
	m.mu.Lock()
	m.all = slices.DeleteFunc(m.all, func(other *instance) bool { return other == i })
	m.current.CompareAndSwap(i, nil)
	m.replenish()
	m.mu.Unlock()
	i.close()
}

// Close releases the module. It fails while a function runs, and waits for instances that are
// being prepared.
func (m *Module) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	running := m.making > 0
	var taken []*instance
	for _, i := range m.all {
		if i.take() {
			taken = append(taken, i)
		} else {
			running = true
		}
	}
	if running {
		for _, i := range taken {
			i.state.Store(phaseIdle)
		}
		m.mu.Unlock()
		return fmt.Errorf("wasm: %s: close: a function is running; end its calls first", m.config.Name)
	}
	m.closed = true
	m.mu.Unlock()
	m.work.Wait()
	return m.free()
}

// free releases what Load has taken, also after it failed.
func (m *Module) free() error {
	m.dog.stop()
	errs := []error{m.freeEngine()}
	for _, root := range m.roots {
		errs = append(errs, root.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("wasm: %s: close: %w", m.config.Name, err)
	}
	return nil
}

// freeEngine releases wazero's objects.
func (m *Module) freeEngine() error {
	var errs []error
	if m.runtime != nil {
		errs = append(errs, m.runtime.Close(context.Background()))
	}
	if m.cache != nil {
		errs = append(errs, m.cache.Close(context.Background()))
	}
	m.runtime, m.cache, m.compiled = nil, nil, nil
	return errors.Join(errs...)
}
