package wasm

import (
	"context"
	"reflect"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// How a watchdog stops a call. Machine code reads the global variable "stop" at its
// checks: one aligned word that is written once. The interpreter is Go code, where
// a variable that one goroutine writes while another reads it is a data race. So
// there the watchdog sets an atomic flag, and the check's listener, which runs on
// the goroutine of the call, turns it into the variable.

// isInterpreted reports whether a runtime interprets. wazero does not say which
// engine it chose, but the engine's type does. Interpreted is what we take for
// granted if the type is not known: the way of the interpreter is right with
// machine code, too, only slower.
func isInterpreted(r wazero.Runtime) bool {
	v := reflect.ValueOf(r)
	for _, field := range []string{"store", "Engine"} {
		for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
			v = v.Elem()
		}
		if v.Kind() != reflect.Struct {
			return true
		}
		v = v.FieldByName(field)
	}
	return v.Kind() != reflect.Interface || v.IsNil() || !strings.HasPrefix(v.Elem().Type().String(), "*wazevo.")
}

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
