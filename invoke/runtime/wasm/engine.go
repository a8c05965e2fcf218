package wasm

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/cpu"
)

// errNoCompiler means that modules can only be interpreted here.
var errNoCompiler = errors.New("there is no compiler here")

// startCompiler makes wazero's runtime with its compiler. wazero would choose the
// engine, too, but does not say which one it chose.
func (m *Module) startCompiler(ctx context.Context) (err error) {
	if runtime.GOARCH == "amd64" && !cpu.X86.HasSSE41 {
		return fmt.Errorf("%w: the processor does not have SSE 4.1", errNoCompiler)
	}
	defer func() { // wazero panics on other processors, and where executable memory is forbidden
		if reason := recover(); reason != nil {
			err = fmt.Errorf("%w: %v", errNoCompiler, reason)
		}
	}()
	m.runtime = wazero.NewRuntimeWithConfig(ctx, m.settings(wazero.NewRuntimeConfigCompiler()))
	return nil
}

// startInterpreter makes wazero's runtime with its interpreter.
func (m *Module) startInterpreter(ctx context.Context) {
	m.interpreted = true
	m.runtime = wazero.NewRuntimeWithConfig(ctx, m.settings(wazero.NewRuntimeConfigInterpreter()))
}

// settings are those of the runtime.
func (m *Module) settings(engine wazero.RuntimeConfig) wazero.RuntimeConfig {
	return engine.WithMemoryLimitPages(uint32(m.config.MemoryBytes / pageBytes)).WithDebugInfoEnabled(false).WithCompilationCache(m.cache)
}

// How a watchdog stops a call. Machine code reads the global variable "stop" at its
// checks: one aligned word that is written once. The interpreter is Go code, where
// a variable that one goroutine writes while another reads it is a data race. So
// there the watchdog sets an atomic flag, and the check's listener, which runs on
// the goroutine of the call, turns it into the variable.

// listenTo has a module compiled such that its function "check" looks at the flag
// of the instance that runs.
func listenTo(ctx context.Context, check uint32) context.Context {
	listener := experimental.FunctionListenerFunc(look)
	return experimental.WithFunctionListenerFactory(ctx, experimental.FunctionListenerFactoryFunc(
		func(f api.FunctionDefinition) experimental.FunctionListener {
			if f.Index() != check {
				return nil
			}
			return listener
		}))
}

// look runs before each check of an interpreted call.
func look(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	if i := ctx.Value(instanceKey{}).(*instance); i.interrupted.Load() {
		i.stop.Set(1)
	}
}

// instanceKey is what an instance is found by in the context of an interpreted call.
type instanceKey struct{}

// engineContext is what wazero gets as the context of a call. It never ends: the
// call's own is the watchdog's business.
func (i *instance) engineContext() context.Context {
	if i.m.interpreted {
		return context.WithValue(context.Background(), instanceKey{}, i)
	}
	return context.Background()
}

// interrupt lets the call end at its next check. Any goroutine may call it.
func (i *instance) interrupt() {
	if i.m.interpreted {
		i.interrupted.Store(true)
	} else {
		i.stop.Set(1)
	}
}
