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

// errNoCompiler means that modules can only be interpreted on this machine.
var errNoCompiler = errors.New("there is no compiler for this machine")

// startCompiler makes wazero's runtime with its compiler. wazero could choose the engine
// itself, but does not report its choice.
func (m *Module) startCompiler(ctx context.Context) (err error) {
	if runtime.GOARCH == "amd64" && !cpu.X86.HasSSE41 {
		return fmt.Errorf("%w: the processor does not have SSE 4.1", errNoCompiler)
	}
	defer func() { // wazero panics on other processors, and if executable memory is forbidden
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

// settings configures the runtime.
func (m *Module) settings(engine wazero.RuntimeConfig) wazero.RuntimeConfig {
	return engine.WithMemoryLimitPages(uint32(m.config.MemoryBytes / pageBytes)).WithDebugInfoEnabled(false).WithCompilationCache(m.cache)
}

// How a watchdog stops a call. Machine code reads the global variable "stop" at its checks:
// one aligned word that is written once. In the interpreter, which is Go code, the watchdog's
// write of that variable would be a data race. So the watchdog sets an atomic flag, and a
// listener of the check, on the goroutine of the call, copies it to the variable.

// listenTo makes the interpreter call look before the function "check".
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

// look checks the flag of the running instance.
func look(ctx context.Context, _ api.Module, _ api.FunctionDefinition, _ []uint64, _ experimental.StackIterator) {
	if i := ctx.Value(instanceKey{}).(*instance); i.interrupted.Load() {
		i.stop.Set(1)
	}
}

// instanceKey is the key of the instance in the context of an interpreted call.
type instanceKey struct{}

// engineContext is wazero's context of a call. It never ends: the watchdog checks the
// context of the call itself.
func (i *instance) engineContext() context.Context {
	if i.m.interpreted {
		return context.WithValue(context.Background(), instanceKey{}, i)
	}
	return context.Background()
}

// interrupt makes the call end at its next check. It may be called concurrently.
func (i *instance) interrupt() {
	if i.m.interpreted {
		i.interrupted.Store(true)
	} else {
		i.stop.Set(1)
	}
}
