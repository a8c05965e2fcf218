package wasm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/rfaas-go/rfaas/internal/wasmfile"
	"github.com/rfaas-go/rfaas/invoke"
)

// The phases of an instance. The owner is the goroutine that made it owned. The watchdog
// makes it inspected for a moment, in which the call's context stays valid, or killed for
// good. The rest of the word counts calls.
const (
	phaseIdle = iota
	phaseOwned
	phaseRunning
	phaseInspected
	phaseKilled
	phaseDead

	phaseMask = 7
	callStep  = 8
)

const (
	minAreaBytes  = 4096 // initial size of each of the two areas
	messageBytes  = 1024 // least room for a message
	maxTrapBytes  = 1024 // of a trap's text
	maxAreaBytes  = 1<<31 - 1
	areaAlignment = 16
)

// instance is a module's memory and globals. One call at a time uses it.
type instance struct {
	m     *Module
	state atomic.Uint64

	// For the owner, and for the watchdog while the phase is inspected or killed.
	ctx   context.Context // of the call
	limit time.Duration   // of the call; 0 for none
	fate  error           // why it was killed

	memory        api.Memory
	inAt, outAt   uint32
	inCap, outCap int
	entries       []api.Function // by index; looked up at first use
	alloc         api.Function
	stop          api.MutableGlobal
	interrupted   atomic.Bool     // for the interpreter
	within        context.Context // for calls of wazero
	openFiles     atomic.Int32
	output        output
	execution     execution // of a command
	stack         [4]uint64
	stopped       chan struct{} // closed when it is killed
	instantiated  api.Module
	seen          uint64 // the state that the watchdog last saw
	since         time.Time
}

// instantiate makes an instance that is ready and owned by the caller.
func (m *Module) instantiate(ctx context.Context) (*instance, error) {
	i := &instance{m: m, entries: make([]api.Function, len(m.entries)), stopped: make(chan struct{})}
	i.output.init(m)
	i.execution.i = i
	i.within = i.engineContext()
	i.state.Store(phaseOwned)
	memory, err := m.newMemory()
	if err != nil {
		return nil, err
	}
	mod, err := m.runtime.InstantiateModule(memory.using(context.Background()), m.compiled, i.settings())
	if err != nil {
		memory.Free() // if wazero has not
		return nil, crashed("instantiate", err)
	}
	i.instantiated = mod
	if err := i.prepare(ctx); err != nil {
		i.state.Store(phaseDead)
		i.close()
		return nil, err
	}
	return i, nil
}

func (i *instance) settings() wazero.ModuleConfig {
	c := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithSysWalltime().WithSysNanotime().WithNanosleep(i.sleep).WithRandSource(rand.Reader)
	for _, v := range i.m.config.Env {
		name, value, _ := strings.Cut(v, "=")
		c = c.WithEnv(name, value)
	}
	if i.m.isCommand {
		return i.mount(i.execution.connect(c))
	}
	return i.mount(c.WithStdout(&i.output.out).WithStderr(&i.output.err))
}

// sleep is the module's sleep, which ends early when the instance is killed.
func (i *instance) sleep(ns int64) {
	if ns <= 0 {
		return
	}
	timer := time.NewTimer(time.Duration(ns))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-i.stopped:
	}
}

// prepare runs the functions that come before the first call.
func (i *instance) prepare(ctx context.Context) error {
	i.memory = i.instantiated.ExportedMemory(wasmfile.MemoryExport)
	i.alloc = i.instantiated.ExportedFunction(wasmfile.AllocExport)
	i.stop = i.instantiated.ExportedGlobal(stopExport).(api.MutableGlobal)
	i.m.dog.watch(i)
	for _, name := range []string{startExport, wasmfile.InitializeExport} {
		f := i.instantiated.ExportedFunction(name)
		if f == nil {
			continue
		}
		if err := i.run(ctx, name, f); err != nil {
			return err
		}
	}
	if i.m.isCommand {
		return nil
	}
	return i.reserve(ctx, minAreaBytes, minAreaBytes)
}

// run calls a function other than an entry point, with the time limit of loading.
func (i *instance) run(ctx context.Context, name string, f api.Function) error {
	i.limit = i.m.config.LoadTimeLimit
	i.enter(ctx)
	err := f.CallWithStack(i.within, i.stack[:])
	if fate := i.leave(); fate != nil {
		return fate
	}
	if err != nil {
		return crashed(name, err)
	}
	return nil
}

// reserve makes the areas at least this large.
func (i *instance) reserve(ctx context.Context, in, out int) error {
	if in > i.inCap {
		at, n, err := i.area(ctx, in)
		if err != nil {
			return err
		}
		i.inAt, i.inCap = at, n
	}
	if out > i.outCap {
		at, n, err := i.area(ctx, out)
		if err != nil {
			return err
		}
		i.outAt, i.outCap = at, n
	}
	return nil
}

// area allocates an area of at least so many bytes, a power of two: so all smaller ones
// together are not larger than the last one.
func (i *instance) area(ctx context.Context, least int) (at uint32, size int, err error) {
	size = minAreaBytes
	for size < least {
		size *= 2
	}
	if size > maxAreaBytes || uint64(size) > i.m.config.MemoryBytes {
		if size = least; uint64(size) > min(i.m.config.MemoryBytes, maxAreaBytes) {
			return 0, 0, &invoke.Error{Status: invoke.StatusTooLarge, Started: invoke.StartedNo,
				Message: fmt.Sprintf("an area of %d bytes for the input or the result does not fit in the memory that the module may have, %d bytes", least, i.m.config.MemoryBytes)}
		}
	}
	i.stack[0] = uint64(size)
	if err := i.run(ctx, wasmfile.AllocExport, i.alloc); err != nil {
		return 0, 0, err
	}
	at = uint32(i.stack[0])
	switch total := uint64(i.memory.Size()); {
	case at == 0:
		return 0, 0, &invoke.Error{Status: invoke.StatusTooLarge, Started: invoke.StartedNo,
			Message: fmt.Sprintf("the module has no room for an area of %d bytes for the input or the result (%s returned 0)", size, wasmfile.AllocExport)}
	case at%areaAlignment != 0 || uint64(at)+uint64(size) > total:
		return 0, 0, &invoke.Error{Status: invoke.StatusCrashed, Started: invoke.StartedYes,
			Message: fmt.Sprintf("%s(%d) returned %#x: must be a multiple of %d and the area within the memory, %d bytes", wasmfile.AllocExport, size, at, areaAlignment, total)}
	}
	return at, size, nil
}

// isStopped reports whether the call was ended. One system call can name the same memory
// millions of times, and has to end as well.
func (i *instance) isStopped() bool {
	select {
	case <-i.stopped:
		return true
	default:
		return false
	}
}

// close releases the instance, which is dead.
func (i *instance) close() {
	i.m.dog.forget(i)
	i.output.flush()
	_ = i.instantiated.Close(context.Background()) // closes files; their errors do not matter here
}

// crashed is the error of a call that trapped or exited.
func crashed(function string, err error) error {
	text := ""
	if exit := (*sys.ExitError)(nil); errors.As(err, &exit) {
		text = fmt.Sprintf("%s ended its program with proc_exit(%d)", function, exit.ExitCode())
	} else {
		text = function + ": " + strings.ReplaceAll(err.Error(), "\n\t", " ")
	}
	if len(text) > maxTrapBytes {
		text = text[:maxTrapBytes]
	}
	return &invoke.Error{Status: invoke.StatusCrashed, Started: invoke.StartedYes, Message: strings.ToValidUTF8(text, string(utf8.RuneError))}
}
